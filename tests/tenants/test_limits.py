"""What the operator allows of everything holds, however many ask for the last place at the same moment."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from flask import g

from portal.files import service as files
from portal.identity.service import register_member
from portal.kernel import clock
from portal.kernel.model import new_id
from portal.messages import mail
from portal.partners import service as partners
from portal.tenants import usage
from portal.tenants.limits import LimitReached
from tests.cast import ALICE, BOOKS, CAFE, CIRCLE, EVE, FRANK, OLGA, SAM

pytestmark = pytest.mark.commits
CROWD = 6
HALF_A_MB = 500_000


@pytest.fixture
def at_once(acting):
    """Six people do it at the same moment where there is room for `room` more; how many were let."""

    def at_once(what, room, act):
        with acting(CIRCLE):
            most = usage.counts()[what] + room
        start = threading.Barrier(CROWD)

        def one(n):
            with acting(CIRCLE, OLGA):
                g.tenant = replace(g.tenant, limits={what: most})
                start.wait(30)
                try:
                    act(n)
                except LimitReached:
                    return False
                return True

        with ThreadPoolExecutor(CROWD) as crowd:
            let = sum(crowd.map(one, range(CROWD)))
        with acting(CIRCLE):
            assert usage.counts()[what] <= most
        return let

    return at_once


def test_the_last_places_are_given_once(at_once):
    """Seen red without the lock of `keep_within`: all six got one of two."""
    assert at_once("members", 2, lambda n: register_member(name=f"Member {n}", joined_via="till")) == 2
    shop = lambda n: partners.create_business(slug=f"shop-{n}", name=f"Shop {n}", category="Café", currency="RUB")  # noqa: E731
    assert at_once("businesses", 2, shop) == 2
    places = [(shop.id, who.id) for shop in (CAFE, BOOKS) for who in (EVE, FRANK, SAM)]
    assert at_once("staff", 2, lambda n: partners.add_staff(*places[n], "cashier")) == 2


def test_files_that_arrive_together_do_not_share_the_last_room(at_once, acting):
    """Each fits alone; what does not fit any more is gone. Seen red without the lock: all six were kept."""
    body = b"x" * HALF_A_MB
    put = lambda n: files.store(io.BytesIO(body), f"{n}.csv", "import")  # noqa: E731
    assert at_once("storage_mb", 1, put) == 2
    with acting(CIRCLE):
        assert files._megabytes(0) == 1  # no route of its own shows it to the byte


def test_no_more_mails_go_out_than_a_day_may_have(acting, sink):
    """NTF-3. Seen red counted before the mail was marked as begun: six went out."""
    start = threading.Barrier(CROWD)

    def one(n):
        with acting(CIRCLE):
            g.tenant = replace(g.tenant, limits={"mails_a_day": 2})
            message = SimpleNamespace(id=new_id(), recorded_at=clock.now())
            row = {"dedupe_key": str(message.id), "member_id": ALICE.id, "kind": "member.registered"}
            start.wait(30)
            return mail.send([message], lambda _: [{**row, "data": {"first_name": "Alice", "card": "1"}}])

    with ThreadPoolExecutor(CROWD) as crowd:
        assert list(crowd.map(one, range(CROWD))) == [{}] * CROWD
    assert len(sink.to(ALICE)) == 2


def test_a_closed_shop_opens_again_only_where_there_is_room(acting):
    """Seen red: it opened above the limit. Who is full reads why."""
    with acting(CIRCLE, OLGA):
        partners.archive_business(CAFE.id, "moved")
        g.tenant = replace(g.tenant, limits={"businesses": usage.counts()["businesses"]})
        with pytest.raises(LimitReached, match="businesses"):
            partners.reopen_business(CAFE.id)
    with acting(CIRCLE, OLGA):
        partners.reopen_business(CAFE.id)
