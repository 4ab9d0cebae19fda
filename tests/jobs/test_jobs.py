"""Long work: held by one run, taken over from a dead one, given up after some tries, seen by who may."""

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.jobs import registry, running, service
from portal.jobs.models import Job
from portal.kernel import clock
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.messages.models import Notification
from tests.cast import ALICE, BOB, CAFE, CAROL, CIRCLE, EVE, MALLORY


@pytest.fixture
def kind(monkeypatch):
    """A kind of work that does what the test says."""
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))

    def kind(work, name="test.work"):
        registry._kinds[name] = registry.JobKind(name, work)
        return name

    return kind


def row_of(job_id):
    db.session.expire_all()
    return db.session.scalars(select(Job).where(Job.id == job_id)).one()


def later(monkeypatch, leases=3):
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + service.LEASE * leases)


def test_work_goes_through_the_outbox_and_ends_in_the_inbox(acting, kind, deliver, seen_by):
    def work(run):
        run.result = {"lines": 2}
        run.report(2, 2)

    with acting(CIRCLE, CAROL):
        job_id = service.start(kind(work))
    deliver()
    with seen_by(CIRCLE) as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        assert (job.state, job.done, job.total, job.result, job.owner_id) == ("done", 2, 2, {"lines": 2}, CAROL.id)
        notice = session.scalars(select(Notification)).one()
        assert (notice.member_id, notice.kind, notice.data["path"]) == (CAROL.id, "job.done", f"/jobs/{job_id}")


def test_a_refusal_ends_the_work_with_its_words(acting, kind):
    def work(run):
        raise PortalError("There is no such table.")

    with acting(CIRCLE, CAROL):
        job_id = service.start(kind(work))
        assert running.run(job_id) == "failed"
        assert (row_of(job_id).state, row_of(job_id).message) == ("failed", "There is no such table.")


def test_a_second_run_leaves_a_living_one_alone(acting, kind):
    def work(run):
        assert running.run(job_id) == "left"
        run.report(1, 1)

    with acting(CIRCLE, CAROL):
        job_id = service.start(kind(work))
        assert running.run(job_id) == "done"
        assert running.run(job_id) == "left"


def test_what_breaks_is_taken_up_again_from_its_checkpoint_and_given_up_in_the_end(acting, kind):
    seen = []

    def work(run):
        seen.append(dict(run.checkpoint))
        if len(seen) == 1:
            run.report(5, 10, checkpoint={"at": 5})
        raise RuntimeError("disk on fire")

    with acting(CIRCLE, CAROL):
        job_id = service.start(kind(work))
        for _ in range(service.TRIES):
            with pytest.raises(RuntimeError):
                running.run(job_id)
        job = row_of(job_id)
        assert (job.state, job.message, job.done) == ("failed", "broken", 5)
        assert seen == [{}] + [{"at": 5}] * (service.TRIES - 1)


def test_a_dead_run_is_queued_again_and_a_command_lines_is_ended(acting, kind, monkeypatch, deliver, seen_by):
    with acting(CIRCLE, CAROL):
        name = kind(lambda run: run.report(1, 1))
        mine, here = service.start(name), service.start_here(name)
        runner = new_id()
        assert service.take(mine, runner) and service.take(here, new_id())
        assert service.revive_lost() == 0
        later(monkeypatch)
        assert service.revive_lost() == 2
        with pytest.raises(service.JobLost):
            service.report(mine, runner, 1)
        with pytest.raises(service.JobLost):
            service.finish(mine, runner, {})
    deliver()
    with acting(CIRCLE, CAROL):
        assert (row_of(mine).state, row_of(here).state, row_of(here).message) == ("done", "failed", "interrupted")


def test_cancelling_what_waits_runs_and_is_over(acting, kind, sign_in):
    with acting(CIRCLE, CAROL):
        waiting = service.start(kind(lambda run: run.report(1, 1)))
    page = sign_in(CAROL).get(f"/jobs/{waiting}").get_data(as_text=True)
    assert "Stop" in page
    answer = sign_in(CAROL).post(f"/jobs/{waiting}/cancellation")
    assert answer.status_code == 303
    with acting(CIRCLE, CAROL):
        assert row_of(waiting).state == "cancelled"
        assert running.run(waiting) == "left"
        service.cancel(waiting)
        assert row_of(waiting).state == "cancelled"


def test_only_its_owner_sees_a_private_job(acting, kind, sign_in):
    with acting(CIRCLE, ALICE):
        job_id = service.start(kind(lambda run: None))
    assert [sign_in(p).get(f"/jobs/{job_id}").status_code for p in (ALICE, EVE, BOB, CAROL, MALLORY)] == [
        200,
        404,
        404,
        404,
        404,
    ]
    assert sign_in(EVE).post(f"/jobs/{job_id}/cancellation").status_code == 404


def test_the_page_lives_with_and_without_scripts(acting, kind, sign_in):
    with acting(CIRCLE, CAROL):
        job_id = service.start(kind(lambda run: None), business_id=CAFE.id)
        service.take(job_id, runner := new_id())
        service.report(job_id, runner, 250, 1000)
    carol = sign_in(CAROL)
    whole = carol.get(f"/jobs/{job_id}").get_data(as_text=True)
    assert '<progress class="meter" value="250" max="1000"' in whole
    assert '<noscript><meta http-equiv="refresh"' in whole
    part = carol.get(f"/jobs/{job_id}", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert part.strip().startswith('<section id="job-progress"') and "<html" not in part and 'data-poll="2"' in part
