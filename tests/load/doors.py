"""Races at the door (R12, R13, R14, R16, R18, R19, R20): 16 callers of 4 processes, 200 rounds, people of their own each round.

The short forms, with what each looks like when its guard is missing: tests/invitations, tests/identity, tests/telegram, tests/kyc.
"""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from io import BytesIO
from uuid import UUID, uuid4

from tests import cast
from tests.load.proof import Row
from tests.load.races import Callers, Round, Table, rows
from tests.load.world import World, acting, signed_in

NAMES = ("R12", "R13", "R14", "R16", "R18", "R19", "R20")
ACTS = 6  # that whoever loses a role tries one after the other


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=2) as world, Callers(world, processes=4, threads=4, deeds=__name__) as callers:
        with acting(world.app, cast.OLGA):
            from portal.kyc.service import set_rules

            set_rules({"enabled": True})
        yield from rows(world, callers, names, rounds=200 if full else 3, races=RACES)


# what the callers do


def accept(app, token: str, name: str) -> None:
    from portal.invitations.service import accept

    with acting(app):
        accept(token, name=name, user_agent="race", ip="127.0.0.1")


def reset(app, token: str, password: str) -> None:
    from portal.identity.resets import use

    with acting(app):
        use(token, password)


def link(app, member: str, telegram: int) -> None:
    from portal.telegram.service import link
    from portal.telegram.signed import Told

    with acting(app):
        link(UUID(member), Told(telegram, "Nina", "", "nina", "en", 0, "race"))


def change(app, member: str, challenge: str, code: str, session: str) -> None:
    from portal.identity.service import change_contact

    with acting(app):
        change_contact(UUID(member), UUID(challenge), code, session_id=UUID(session))


def prove(app, member: str, code: str) -> None:
    from portal.identity.factors import APP, prove
    from portal.kernel.commands import command

    with acting(app):
        command("test.prove")(lambda: prove(UUID(member), APP, code))()


def decide(app, submission: str, verdict: str) -> None:
    from portal.kyc import service

    who = cast.SAM if verdict == "approve" else cast.OLGA
    with acting(app, who):
        if verdict == "approve":
            service.approve(UUID(submission), who.id)
        else:
            service.reject(UUID(submission), who.id, reasons=["mismatch"])


def take(app, member: str) -> str:
    """Take the role; says when that was done."""
    from portal.identity.roles import take_role

    time.sleep(0.05)
    with acting(app):
        take_role(UUID(member), "admin")
    return f"taken {time.monotonic()}"


def act(app, cookie: str, csrf: str) -> str:
    """Write as an admin some times over; says when the last that was let through began."""
    begun, client = 0.0, app.test_client()
    client.set_cookie("sid", cookie, domain=cast.CIRCLE.host)
    for _ in range(ACTS):
        began = time.monotonic()
        answer = client.post(
            f"/admin/members/{cast.EVE.id}/notes",
            data={"body": f"race {uuid4()}", "form_key": uuid4().hex},
            headers={"X-CSRFToken": csrf},
            base_url=f"http://{cast.CIRCLE.host}:8000",
        )
        if answer.status_code >= 500:
            return f"status {answer.status_code}"
        if answer.status_code != 303 or "/login" in answer.location:
            break
        begun = began
    return f"acted {begun}"


DEEDS = {deed.__name__: deed for deed in (accept, reset, link, change, prove, decide, take, act)}


# the rounds


def _only_one(answers: Tally, callers: int, *refusals: str) -> list[str]:
    refused = sum(answers[one] for one in refusals)
    return [] if answers["ok"] == 1 and refused == callers - 1 else [f"{dict(answers)}"]


def _with_mail(table: Table) -> tuple[str, str]:
    member, email = table.members()[0], f"{uuid4()}@race.example"
    with table.world.admin() as owner:
        owner.execute("UPDATE users SET email = %s WHERE id = %s", (email, UUID(member)))
    return member, email


def _reset_for(table: Table, email: str) -> str:
    from portal.identity import resets

    with acting(table.world.app):
        resets.ask(email)
    with acting(table.world.app):
        return resets.mint(table.world.one("SELECT id FROM password_resets WHERE target = %s", email)).token


def r12(table: Table, n: int):
    """One invitation, accepted by everybody."""
    from portal.invitations import service

    email = f"{uuid4()}@race.example"
    with acting(table.world.app, cast.OLGA):
        asked = service.invite(service.Guest(email, offer=service.Offer("cashier", business_id=cast.CAFE.id)))
    with acting(table.world.app):
        token = service.mint(asked).token
    jobs = [("accept", (token, f"Racer {c}")) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        people = table.world.one("SELECT count(*) FROM users WHERE email = %s", email)
        posts = table.world.one(
            "SELECT count(*) FROM business_staff s JOIN users u ON u.id = s.user_id WHERE u.email = %s", email
        )
        made = [] if (people, posts) == (1, 1) else [f"{people} people, {posts} posts"]
        return _only_one(answers, table.callers, "invitation.over") + made

    return jobs, judge


def r13(table: Table, n: int):
    """One link to a new password, used by everybody with a password of their own."""
    from portal.identity.passwords import matches

    member, email = _with_mail(table)
    token = _reset_for(table, email)
    jobs = [("reset", (token, f"harbour {c} of sixteen ships")) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        kept = table.world.one("SELECT password_hash FROM users WHERE id = %s", UUID(member))
        fits = sum(matches(kept, job[1][1]) for job in jobs) if n % 20 == 0 else 1
        return _only_one(answers, table.callers, "reset.over") + ([] if fits == 1 else [f"{fits} passwords fit"])

    return jobs, judge


def r14(table: Table, n: int):
    """An admin's role is taken while fifteen of their requests run: what begins after that is refused."""
    from portal.identity.roles import grant_role

    member, _ = _with_mail(table)
    with acting(table.world.app):
        grant_role(UUID(member), "admin")
    session = signed_in(table.world.app, replace(cast.OLGA, id=UUID(member)))
    with table.world.admin() as owner:
        owner.execute(
            "UPDATE device_sessions s SET auth_epoch = u.auth_epoch FROM users u WHERE u.id = s.user_id AND u.id = %s",
            (UUID(member),),
        )
    jobs = [("act", session)] * (table.callers - 1) + [("take", (member,))]

    def judge(answers: Tally) -> list[str]:
        taken = [float(a.partition(" ")[2]) for a in answers if a.startswith("taken ")]
        acted = [float(a.partition(" ")[2]) for a in answers if a.startswith("acted ")]
        odd = [a for a in answers if not a.startswith(("taken ", "acted "))]
        late = [a for a in acted if taken and a > taken[0]]
        answers.clear()
        answers.update({"taken": len(taken), "let in before": sum(a > 0 for a in acted)})
        return (
            odd + [f"let in {a - taken[0]:.3f} s after the role went" for a in late] + ([] if taken else ["not taken"])
        )

    return jobs, judge


def r16(table: Table, n: int):
    """One Telegram account, linked by two members from everywhere: one of them has it."""
    two = table.members(2)
    telegram = 10_000_000 + n
    jobs = [("link", (two[c % 2], telegram)) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        owners = table.world.one("SELECT count(*) FROM identities WHERE subject = %s", str(telegram))
        good = answers["ok"] == answers["telegram.linked_elsewhere"] == table.callers // 2 and owners == 1
        return [] if good else [f"{dict(answers)}, {owners} owners"]

    return jobs, judge


def r18(table: Table, n: int):
    """A change of the e-mail with a stolen session, and a reset by the old e-mail: one or the other."""
    from portal.extensions import db
    from portal.identity import codes
    from portal.identity.sessions import open_session
    from portal.kernel import clock
    from portal.kernel.commands import command

    member, email = _with_mail(table)
    token = _reset_for(table, email)
    thief = f"thief-{uuid4()}@race.example"
    with acting(table.world.app):
        command("test.sign_in")(
            lambda: open_session(UUID(member), auth_epoch=0, kind="member", user_agent="race", ip="", now=clock.now())
        )()
        challenge = codes.issue("contact", codes.EMAIL, thief, member_id=UUID(member))
        db.session.rollback()
    with acting(table.world.app):
        code = codes.mint(challenge).code
    session = table.world.one("SELECT id FROM device_sessions WHERE user_id = %s", UUID(member))
    steal = ("change", (member, str(challenge), code, str(session)))
    jobs = [steal if c % 2 else ("reset", (token, "harbour of sixteen ships")) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        stolen = table.world.one("SELECT email FROM users WHERE id = %s", UUID(member)) == thief
        new = table.world.one("SELECT password_hash IS NOT NULL FROM users WHERE id = %s", UUID(member))
        refused = ("reset.over", "code.wrong", "session.ended")
        return _only_one(answers, table.callers, *refused) + ([] if stolen is not new else ["both or neither happened"])

    return jobs, judge


def r19(table: Table, n: int):
    """One code of an authenticator app, typed by everybody: one is let in."""
    import pyotp

    from portal.identity import factors, sessions

    member = table.members()[0]
    with acting(table.world.app):
        factors.start_app(UUID(member))
    with acting(table.world.app):
        secret = pyotp.TOTP(factors.setup(UUID(member), "race").secret)
        factors.confirm_app(UUID(member), secret.at(sessions.real_now()))
    with table.world.admin() as owner:
        owner.execute("UPDATE two_factor_methods SET last_step = 0 WHERE user_id = %s", (UUID(member),))
    with acting(table.world.app):
        code = secret.at(sessions.real_now())
    jobs = [("prove", (member, code))] * table.callers
    return jobs, lambda answers: _only_one(answers, table.callers, "factor.wrong_code", "too_many_tries")


def r20(table: Table, n: int):
    """One verification, approved by one admin and refused by another, by each from eight windows: one verdict stands."""
    from PIL import Image

    from portal.kyc import service

    member, picture = table.members()[0], BytesIO()
    Image.new("RGB", (60, 40), "#336699").save(picture, "JPEG")
    with acting(table.world.app):
        submission = service.submit(
            UUID(member), level="basic", legal_name="Racer", born_on=date(1990, 2, 28), country="RU", document_kind="passport",
            document_number=str(uuid4()), documents={"front": BytesIO(picture.getvalue())},
        )  # fmt: skip
    jobs = [("decide", (str(submission), ("approve", "reject")[c % 2])) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        state = table.world.one("SELECT state FROM kyc_submissions WHERE id = %s", submission)
        return _only_one(answers, table.callers, "kyc.already_decided") + (
            [] if state in {"verified", "rejected"} else [f"it is {state}"]
        )

    return jobs, judge


RACES: dict[str, tuple[str, Round]] = {
    "R12": ("one invitation accepted by everybody: one comes in", r12),
    "R13": ("one link to a new password used by everybody: one password holds", r13),
    "R14": ("a role taken while its holder writes: what begins afterwards is refused", r14),
    "R16": ("one Telegram account linked by two members: one has it", r16),
    "R18": ("a new e-mail by a stolen session beside a reset: one or the other", r18),
    "R19": ("one code of an authenticator app typed by everybody: one is let in", r19),
    "R20": ("one verification approved and refused: one verdict stands", r20),
}
