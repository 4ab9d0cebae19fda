"""Reading the program and where members stand in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.model import I18n
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty.ladder import Rules, Standing, Tier, settled
from portal.loyalty.windows import Calendar

WINDOWS_KEPT = 40  # more windows than any tier lasts
PROGRAM = """
(SELECT jsonb_build_object('id', p.id, 'currency', p.currency, 'basis', p.basis, 'period', p.period,
        'end_rule', p.end_rule, 'downgrade', p.downgrade, 'bonus_expiry', p.bonus_expiry,
        'refund_policy', p.refund_policy, 'refund_grace_days', p.refund_grace_days,
        'tiers', (SELECT jsonb_agg(jsonb_build_array(t.id, t.code, t.name_i18n, t.rank, t.threshold, t.rate_num, t.rate_den)
                                   ORDER BY t.rank)
                    FROM status_tiers t WHERE t.tenant_id = p.tenant_id AND t.program_id = p.id))
   FROM tier_programs p WHERE p.tenant_id = :tenant ORDER BY p.id LIMIT 1)"""
STANDING = """
(SELECT jsonb_build_array(m.tier_id, m.since, m.expires_at, m.locked_until)
   FROM tier_memberships m WHERE m.tenant_id = :tenant AND m.id = {member})"""
PROGRESS = f"""
(SELECT jsonb_agg(jsonb_build_array(w.window_start, w.qualifying))
   FROM (SELECT q.window_start, q.qualifying FROM tier_progress q
          WHERE q.tenant_id = :tenant AND q.member_id = {{member}}
          ORDER BY q.window_start DESC LIMIT {WINDOWS_KEPT}) w)"""  # the member is written in by `position_sql`


@dataclass(frozen=True, slots=True)
class Program:
    """The tenant's tier program."""

    id: UUID
    currency: str
    basis: str
    bonus_expiry: str
    refund_policy: str
    refund_grace_days: int
    rules: Rules

    def tier(self, tier_id: UUID | None) -> Tier | None:
        return next((tier for tier in self.rules.tiers if tier.id == tier_id), None)


@dataclass(frozen=True, slots=True)
class Position:
    """What is stored of one member's place in the program."""

    program: Program
    stored: Standing
    windows: Mapping[datetime, int]

    def at(self, now: datetime) -> Standing:
        """The standing in force: window ends that the daily job has not seen yet are counted in."""
        return settled(self.program.rules, self.stored, self.windows, now)


def position_sql(member: str = ":member") -> str:
    """Three columns, `program, standing, windows`, for a SELECT that needs a member's place beside other things."""
    return f"{PROGRAM} AS program, {STANDING.format(member=member)} AS standing, {PROGRESS.format(member=member)} AS windows"


def position_of(row: Any, zone: str | None = None) -> Position | None:
    """The place out of a row with the columns of `position_sql`; None where the tenant has no program."""
    return (
        None
        if row.program is None
        else _place(_program(row.program, zone or g.tenant.timezone), row.standing, row.windows)
    )


def position_from(
    program: str | None, standing: Sequence[Any] | None, windows: Sequence[Any] | None
) -> Position | None:
    """The same out of what `portal.sale_read` answers, the program as its text: the same one again is not built again."""
    return None if program is None else _place(_program_of(program, g.tenant.timezone), standing, windows)


def _place(program: Program, standing: Sequence[Any] | None, windows: Sequence[Any] | None) -> Position:
    stored = Standing(program.rules.tiers[0])
    if standing:
        tier_id, since, until, locked = standing
        tier = program.tier(UUID(tier_id)) or program.rules.tiers[0]
        stored = Standing(tier, _moment(since), _moment(until), _moment(locked))
    return Position(program, stored, {datetime.fromisoformat(start): int(n) for start, n in windows or ()})


def program() -> Program | None:
    """The tenant's program with its tiers, lowest first."""
    found = db.session.scalar(text(f"SELECT {PROGRAM}"), {"tenant": current_tenant_id()})
    return None if found is None else _program(found, g.tenant.timezone)


def tiers() -> Sequence[Tier]:
    """The steps of the ladder, lowest first."""
    found = program()
    return found.rules.tiers if found else ()


def position(member_id: UUID) -> Position | None:
    """A member's place in the program."""
    row = db.session.execute(
        text(f"SELECT {position_sql()}"), {"tenant": current_tenant_id(), "member": member_id}
    ).one()
    return position_of(row)


def standing_of(member_id: UUID) -> Standing | None:
    """Where a member stands now, with the dates."""
    place = position(member_id)
    return place.at(clock.now()) if place else None


def tier_of(member_id: UUID) -> Tier | None:
    """A member's tier now; None where the tenant has no program."""
    standing = standing_of(member_id)
    return standing.tier if standing else None


def members_by_tier() -> dict[UUID, int]:
    """How many members stand above the lowest tier, by tier."""
    rows = db.session.execute(
        text(
            "SELECT m.tier_id, count(*) AS n FROM tier_memberships m JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.id"
            " WHERE m.tenant_id = :tenant AND u.merged_into IS NULL GROUP BY m.tier_id"
        ),
        {"tenant": current_tenant_id()},
    )
    return {row.tier_id: row.n for row in rows}


def everybody() -> int:
    """How many members there are."""
    return int(
        db.session.scalar(
            text(
                "SELECT count(*) FROM users WHERE tenant_id = :tenant AND archived_at IS NULL AND merged_into IS NULL"
            ),
            {"tenant": current_tenant_id()},
        )
        or 0
    )


def changes_of(member_id: UUID, limit: int = 20) -> Sequence[Any]:
    """A member's steps on the ladder, newest first."""
    return db.session.execute(
        text("""
        SELECT c.at, c.cause, c.purchase_id, f.name_i18n AS from_name, t.name_i18n AS to_name, t.rank > coalesce(f.rank, -1) AS up
          FROM tier_changes c
          LEFT JOIN status_tiers f ON f.tenant_id = c.tenant_id AND f.id = c.from_tier_id
          JOIN status_tiers t ON t.tenant_id = c.tenant_id AND t.id = c.to_tier_id
         WHERE c.tenant_id = :tenant AND c.member_id = :member ORDER BY c.at DESC, c.id DESC LIMIT :limit"""),
        {"tenant": current_tenant_id(), "member": member_id, "limit": limit},
    ).all()


@lru_cache(maxsize=1024)
def _program_of(text_: str, zone: str) -> Program:
    return _program(json.loads(text_), zone)


def _program(found: dict[str, Any], zone: str) -> Program:
    tiers_ = tuple(
        Tier(UUID(id_), code, I18n(name), rank, threshold, Fraction(num, den))
        for id_, code, name, rank, threshold, num, den in found["tiers"]
    )
    return Program(
        id=UUID(found["id"]),
        currency=found["currency"],
        basis=found["basis"],
        bonus_expiry=found["bonus_expiry"],
        refund_policy=found["refund_policy"],
        refund_grace_days=found["refund_grace_days"],
        rules=Rules(tiers_, Calendar(found["period"], zone), found["end_rule"], found["downgrade"]),
    )


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
