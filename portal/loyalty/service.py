"""Writing the program and moving members on its ladder (LOY-9 to LOY-12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import LazyString, gettext, lazy_gettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.kernel import clock, money
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import I18n
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.turns import take_turn
from portal.loyalty import durations, moves, queries
from portal.loyalty.ladder import Standing, Tier
from portal.loyalty.models import StatusTier, TierProgram
from portal.loyalty.queries import Position
from portal.loyalty.windows import MONTHS
from portal.web.locale import spoken_in, supported

DEFAULT_NAMES = (
    ("bronze", lazy_gettext("Bronze")),
    ("silver", lazy_gettext("Silver")),
    ("gold", lazy_gettext("Gold")),
    ("platinum", lazy_gettext("Platinum")),
)
DEFAULT_THRESHOLDS = (0, 10_000, 40_000, 100_000)  # whole units of the currency
DEFAULT_RATES = (Fraction(3, 100), Fraction(5, 100), Fraction(7, 100), Fraction(10, 100))
DUE_AT_ONCE = 500
RECOUNT_LOCK = "pg_advisory_xact_lock_shared(hashtextextended('tiers:' || cast(:tenant AS text), 0))"


class ProgramInvalid(PortalError):
    """Thresholds, rates or names do not make a ladder."""

    code = "loyalty.invalid_program"


class NoProgram(NotFound):
    """The tenant has no tier program."""

    code = "loyalty.no_program"


@dataclass(frozen=True, slots=True)
class TierDraft:
    """A tier as somebody wants it: `threshold` in minor units, `rate` exact."""

    code: str
    name: Mapping[str, str]
    threshold: int
    rate: Fraction


@command("loyalty.create_program")
def create_default_program(
    currency: str,
    thresholds: Sequence[int] | None = None,
    *,
    rates: Sequence[Fraction] = DEFAULT_RATES,
    names: Sequence[tuple[str, LazyString]] = DEFAULT_NAMES,
    bonus_expiry: str = "unlimited",
    period: str = "YEAR",
    end_rule: str = "END_OF_NEXT_PERIOD",
) -> UUID:
    """The program a tenant starts with: four tiers by what is spent in a calendar year. Thresholds in minor units.

    The tiers' names are kept in each of the tenant's languages.
    """
    unit = 10 ** money.currency(currency).exponent
    languages = g.tenant.locales if g.get("tenant") else supported()
    wanted = [n * unit for n in DEFAULT_THRESHOLDS] if thresholds is None else thresholds
    drafts = [
        TierDraft(code, spoken_in(name, languages), threshold, rate)
        for (code, name), threshold, rate in zip(names, wanted, rates, strict=True)
    ]
    check(drafts)
    durations.parse(bonus_expiry)
    program = TierProgram(currency=currency, bonus_expiry=bonus_expiry, period=period, end_rule=end_rule)
    db.session.add(program)
    db.session.flush()
    for rank, draft in enumerate(drafts):
        db.session.add(StatusTier(program_id=program.id, rank=rank, code=draft.code, **_columns(draft)))
    db.session.flush()
    journal().about("tier_program", program.id)
    return program.id


@command("loyalty.update_program")
def update_program(
    drafts: Sequence[TierDraft], *, bonus_expiry: str, period: str, end_rule: str, downgrade: str
) -> None:
    """Change the ladder. Nobody falls because of it before their tier's date; raises `ProgramInvalid`.

    Another period recounts every member's windows from their purchases.
    """
    program = db.session.scalars(select(TierProgram).with_for_update()).one_or_none()
    if program is None:
        raise NoProgram(gettext("This community has no tiers yet."))
    check(drafts)
    tiers = {
        tier.code: tier for tier in db.session.scalars(select(StatusTier).where(StatusTier.program_id == program.id))
    }
    if [draft.code for draft in drafts] != sorted(tiers, key=lambda code: tiers[code].rank):
        raise ProgramInvalid(gettext("The tiers have changed in the meantime. Load the page again."))
    for rank, draft in enumerate(drafts):  # out of each other's way first: thresholds are unique
        if rank and tiers[draft.code].threshold != draft.threshold:
            tiers[draft.code].threshold = -1 - rank + money.BIGGEST * 2
    db.session.flush()
    for draft in drafts:
        for column, value in _columns(draft).items():
            if getattr(tiers[draft.code], column) != value:
                setattr(tiers[draft.code], column, value)
    recount = program.period != period
    program.bonus_expiry, program.period = str(durations.parse(bonus_expiry)), period
    program.end_rule, program.downgrade = end_rule, downgrade
    db.session.flush()
    if recount:
        _recount(program.id, period)
    journal().about("tier_program", program.id)


def check(drafts: Sequence[TierDraft]) -> None:
    """Half-open ranges without a gap or an overlap: the lowest from 0, each threshold above the one before (LOY-10)."""
    if not drafts or drafts[0].threshold != 0:
        raise ProgramInvalid(gettext("The lowest tier begins at 0."))
    for below, tier in pairwise(drafts):
        if tier.threshold <= below.threshold:
            raise ProgramInvalid(
                gettext("Each tier begins above the one before it: two tiers cannot share an amount."), tier=tier.code
            )
    for draft in drafts:
        if not 0 <= draft.rate <= 1:
            raise ProgramInvalid(gettext("A rate is between 0 and 100 per cent."), tier=draft.code)
        if not any(draft.name.values()):
            raise ProgramInvalid(gettext("Each tier needs a name."), tier=draft.code)


@command("loyalty.qualify")
def qualify(member_id: UUID, amount: int, occurred_at: datetime, purchase_id: UUID | None = None) -> None:
    """Count `amount` in the window of `occurred_at` and look at the tier again (D22)."""
    place = locked_position(member_id)
    if place:
        moves.write(moves.counting(place, member_id, amount, occurred_at, clock.now()), purchase_id)


@command("loyalty.disqualify")
def disqualify(member_id: UUID, amount: int, occurred_at: datetime, purchase_id: UUID | None = None) -> None:
    """Take `amount` out of the window of `occurred_at` after a refund; a rise that it paid for is undone."""
    place = locked_position(member_id)
    if place is None:
        return
    now = clock.now()
    held = held_before(place, member_id, place.program.rules.calendar.start(now))
    moves.write(moves.taking_back(place, member_id, amount, occurred_at, now, held_before=held), purchase_id)


@command("loyalty.set_tier")
def set_tier(member_id: UUID, tier_code: str, *, reason: str, locked_until: datetime | None = None) -> None:
    """Put a member on a tier by hand; until `locked_until` nothing moves it (LOY-11)."""
    if not reason.strip():
        raise ProgramInvalid(gettext("Say why: the member's timeline shows it."))
    place = locked_position(member_id)
    if place is None:
        raise NoProgram(gettext("This community has no tiers yet."))
    now = clock.now()
    if locked_until is not None and locked_until <= now:
        raise ProgramInvalid(gettext("The lock ends in the past."))
    tier = next((t for t in place.program.rules.tiers if t.code == tier_code), None)
    if tier is None:
        raise NotFound(gettext("There is no such tier."))
    journal().about("member", member_id)
    journal().reason(reason)
    moves.write(
        moves.deciding(
            place, member_id, tier, now, locked_until=locked_until, reason=reason, actor_id=g.get("actor_id")
        )
    )


def recheck_due_tiers() -> int:
    """The daily job: write down every tier whose window has ended, and say so once. Returns how many members moved.

    Harmless when run twice or not at all: readers and purchases count passed ends in by themselves.
    """
    moved = 0
    while True:
        looked_at, stepped = _recheck_some(DUE_AT_ONCE)
        moved += stepped
        if looked_at < DUE_AT_ONCE:
            return moved


@command("loyalty.recheck_tiers")
def _recheck_some(limit: int) -> tuple[int, int]:
    now = clock.now()
    values: dict[str, Any] = {"tenant": current_tenant_id(), "now": now, "limit": limit}
    due = text("""
        SELECT u.id FROM users u
         WHERE u.tenant_id = :tenant AND u.id IN (
               SELECT m.id FROM tier_memberships m JOIN users o ON o.tenant_id = m.tenant_id AND o.id = m.id AND o.merged_into IS NULL
                WHERE m.tenant_id = :tenant AND m.expires_at <= :now AND (m.locked_until IS NULL OR m.locked_until <= :now)
                ORDER BY m.expires_at LIMIT :limit)
         ORDER BY u.id FOR NO KEY UPDATE""")
    members = db.session.scalars(due, values).all()
    if not members:
        return 0, 0
    rows = db.session.execute(
        text(
            f"SELECT u.id AS member, {queries.position_sql('u.id')} FROM unnest(cast(:members AS uuid[])) AS u (id) ORDER BY 1"
        ),
        {"tenant": current_tenant_id(), "members": members},
    ).all()
    stepped = 0
    for row in rows:
        place = queries.position_of(row)
        move = moves.settling(place, row.member, now) if place else None
        if move and move.changed:
            moves.write(move)
            stepped += bool(move.steps)
    return len(members), stepped


def locked_position(member_id: UUID) -> Position | None:
    """The member's place with their row locked, so that nobody moves them meanwhile (D18)."""
    lock = text(f"SELECT 1, {RECOUNT_LOCK} FROM users WHERE tenant_id = :tenant AND id = :member FOR NO KEY UPDATE")
    if db.session.execute(lock, {"tenant": current_tenant_id(), "member": member_id}).one_or_none() is None:
        raise NotFound(gettext("There is no such member."))
    return queries.position(member_id)


def held_before(place: Position, member_id: UUID, window_start: datetime) -> Tier:
    """The tier held before the first rise of the running window."""
    first = db.session.scalar(
        text(
            "SELECT from_tier_id FROM tier_changes WHERE tenant_id = :tenant AND member_id = :member AND cause = 'earned'"
            " AND at >= :start ORDER BY at, id LIMIT 1"
        ),
        {"tenant": current_tenant_id(), "member": member_id, "start": window_start},
    )
    return place.program.tier(first) or place.program.rules.tiers[0]


def _columns(draft: TierDraft) -> dict[str, Any]:
    return {
        "name_i18n": I18n({code: name for code, name in draft.name.items() if name}),
        "threshold": draft.threshold,
        "rate_num": draft.rate.numerator,
        "rate_den": draft.rate.denominator,
    }


@command("loyalty.join")
def join(from_id: UUID, into_id: UUID) -> dict[str, Any] | None:
    """A member's spending and tier go to another, whose row leads there already (D28); both rows are locked.

    Returns the standing that the other had before, for `part`; None where there are no tiers.
    """
    other, before = queries.position(from_id), queries.position(into_id)
    if other is None or before is None:
        return None
    _count_again(before, from_id, into_id)
    place = queries.position(into_id)
    if place:
        moves.write(moves.joining(place, other, into_id, clock.now()))
    stored = before.stored
    moments = {"since": stored.since, "until": stored.until, "locked_until": stored.locked_until}
    return {"tier": stored.tier.code, **{name: at and at.isoformat() for name, at in moments.items()}}


@command("loyalty.part")
def part(from_id: UUID, into_id: UUID, before: Mapping[str, Any] | None) -> None:
    """Undo `join`: each has the spending of their own purchases again, and the tier that goes with it."""
    place = queries.position(into_id)
    if place is None or before is None:
        return
    _count_again(place, from_id, into_id)
    now = clock.now()
    for member_id in (from_id, into_id):
        place = queries.position(member_id)
        if place is None:
            continue
        standing = place.stored
        if member_id == into_id:
            tier = next(
                (t for t in place.program.rules.tiers if t.code == before["tier"]), place.program.rules.tiers[0]
            )
            moments = (before[name] for name in ("since", "until", "locked_until"))
            standing = Standing(tier, *(datetime.fromisoformat(at) if at else None for at in moments))
        moves.write(moves.parting(place, member_id, standing, now))


def rebuild() -> None:
    """Count every window again from the purchases themselves (D22)."""
    program = db.session.scalars(select(TierProgram)).one_or_none()
    if program is not None:
        _rebuild(program.id, program.period)


@command("loyalty.rebuild")
def _rebuild(program_id: UUID, period: str) -> None:
    _recount(program_id, period)


def _recount(program_id: UUID, period: str) -> None:
    """The counters from the money paid, in windows of `period` of the tenant's calendar; purchases wait meanwhile.

    They take `RECOUNT_LOCK` shared, in the statement that locks the member.
    """
    values = {
        "tenant": current_tenant_id(),
        "program": program_id,
        "zone": g.tenant.timezone,
        "months": MONTHS[period],
    }
    take_turn(f"tiers:{values['tenant']}")
    _count(values, "")
    journal().note("tier_progress", program_id, {"recounted": [None, period]})


def _count_again(place: Position, *members: UUID) -> None:
    """The counters of these members and of whoever leads to them, each window from the purchases."""
    values = {
        "tenant": current_tenant_id(),
        "program": place.program.id,
        "zone": g.tenant.timezone,
        "months": MONTHS[place.program.rules.calendar.period],
        "members": list(members),
    }
    _count(values, "AND {member} = ANY (:members)")
    for member_id in members:
        journal().note("tier_progress", member_id, {"recounted": [None, place.program.rules.calendar.period]})


def _count(values: dict[str, Any], some: str) -> None:
    whose = some.format(member="member_id")
    db.session.execute(
        text(f"DELETE FROM tier_progress WHERE tenant_id = :tenant AND program_id = :program {whose}"), values
    )
    owners = some.format(member="coalesce(u.merged_into, u.id)")
    if some:  # by the members' own indexes
        owners += """ AND p.member_id = ANY (ARRAY(
            SELECT m.id FROM users m WHERE m.tenant_id = :tenant AND m.id = ANY (:members)
            UNION ALL SELECT m.id FROM users m WHERE m.tenant_id = :tenant AND m.merged_into = ANY (:members)))"""
    db.session.execute(
        text(f"""
        INSERT INTO tier_progress (tenant_id, member_id, program_id, window_start, qualifying)
        SELECT :tenant, coalesce(u.merged_into, u.id), :program, w.start AT TIME ZONE :zone,
               sum(p.amount - p.paid_with_bonus - p.refunded_total + p.bonus_given_back)
          FROM purchases p
          JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.member_id
          JOIN tier_programs g ON g.tenant_id = p.tenant_id AND g.id = :program AND g.currency = p.currency,
               LATERAL (SELECT p.occurred_at AT TIME ZONE :zone AS local) AS l,
               LATERAL (SELECT date_trunc('year', l.local)
                        + make_interval(months => (extract(month FROM l.local)::int - 1) / :months * :months) AS start) AS w
         WHERE p.tenant_id = :tenant {owners}
         GROUP BY 2, w.start"""),
        values,
    )
