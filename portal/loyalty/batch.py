"""The steps of many members at once, as imports take them: read set-wise, decided one by one, written set-wise (D5, D22)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.books import plain
from portal.kernel.commands import emit, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import queries
from portal.loyalty.events import TierChanged
from portal.loyalty.ladder import Standing
from portal.loyalty.moves import Move
from portal.loyalty.queries import Position, Program

_PLACES = text(f"""
SELECT u.id, {queries.STANDING.format(member="u.id")} AS standing, {queries.PROGRESS.format(member="u.id")} AS windows
  FROM unnest(cast(:members AS uuid[])) AS u (id)""")
_COUNT = text("""
INSERT INTO tier_progress (tenant_id, member_id, program_id, window_start, qualifying)
SELECT :tenant, c.member, :program, c.start, c.amount
  FROM jsonb_to_recordset(cast(:counted AS jsonb)) AS c (member uuid, start timestamptz, amount bigint)
 ORDER BY c.member, c.start
ON CONFLICT (tenant_id, member_id, program_id, window_start)
DO UPDATE SET qualifying = tier_progress.qualifying + excluded.qualifying""")
_PLACE = text("""
INSERT INTO tier_memberships (tenant_id, id, tier_id, since, expires_at, locked_until, cause)
SELECT :tenant, p.member, p.tier, p.since, p.until, p.locked, p.cause
  FROM jsonb_to_recordset(cast(:placed AS jsonb))
       AS p (member uuid, tier uuid, since timestamptz, until timestamptz, locked timestamptz, cause text)
 ORDER BY p.member
ON CONFLICT (tenant_id, id) DO UPDATE SET tier_id = excluded.tier_id, since = excluded.since,
    expires_at = excluded.expires_at, locked_until = excluded.locked_until, cause = excluded.cause,
    reason = NULL, actor_id = NULL""")
_STEP = text("""
INSERT INTO tier_changes (tenant_id, id, member_id, from_tier_id, to_tier_id, cause, purchase_id, at)
SELECT :tenant, s.id, s.member, s.from_tier, s.to_tier, s.cause, s.purchase, s.at
  FROM jsonb_to_recordset(cast(:steps AS jsonb))
       AS s (id uuid, member uuid, from_tier uuid, to_tier uuid, cause text, purchase uuid, at timestamptz)""")


def positions(program: Program, members: Iterable[UUID]) -> dict[UUID, Position]:
    """The stored places of these members, whose rows the caller has locked."""
    lowest = program.rules.tiers[0]
    found = {}
    for row in db.session.execute(_PLACES, {"tenant": current_tenant_id(), "members": list(members)}):
        stored = Standing(lowest)
        if row.standing:
            tier_id, *moments = row.standing
            stored = Standing(
                program.tier(UUID(tier_id)) or lowest, *(m and datetime.fromisoformat(m) for m in moments)
            )
        found[row.id] = Position(program, stored, {datetime.fromisoformat(s): int(n) for s, n in row.windows or ()})
    return found


def after(place: Position, move: Move) -> Position:
    """The place once the move is written, for the same member's next purchase in the batch."""
    windows = dict(place.windows)
    if move.amount:
        windows[move.window] = windows.get(move.window, 0) + move.amount
    return Position(place.program, move.standing, windows)


@dataclass(slots=True)
class Moves:
    """The moves of a batch, in the order in which they were decided."""

    counted: dict[tuple[UUID, datetime], int] = field(default_factory=dict)
    placed: dict[UUID, Move] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    told: list[tuple[TierChanged, bool]] = field(default_factory=list)

    def add(self, move: Move, purchase_id: UUID, *, historical: bool) -> None:
        """Take a purchase's move in."""
        if move.amount:
            key = move.member_id, move.window
            self.counted[key] = self.counted.get(key, 0) + move.amount
        if move.changed:
            self.placed[move.member_id] = move
        for step in move.steps:
            self.steps.append(
                {
                    "id": new_id(), "member": move.member_id, "from_tier": step.before.id, "to_tier": step.after.id,
                    "cause": step.cause, "purchase": purchase_id, "at": step.at,
                }
            )  # fmt: skip
            changed = TierChanged(
                member_id=move.member_id, from_tier=step.before.code, to_tier=step.after.code,
                up=step.after.rank > step.before.rank, cause=step.cause,
            )  # fmt: skip
            self.told.append((changed, historical))

    def write(self, program: Program) -> None:
        """Write them in three statements at most, inside the command; the events go out with it."""
        values = {"tenant": current_tenant_id(), "program": program.id}
        if self.counted:
            rows = [{"member": m, "start": start, "amount": n} for (m, start), n in self.counted.items()]
            db.session.execute(_COUNT, {**values, "counted": _json(rows)})
        if self.placed:
            db.session.execute(_PLACE, {**values, "placed": _json([_stored(move) for move in self.placed.values()])})
            journal().note("tier_memberships", program.id, {"placed": [None, len(self.placed)]})
        if self.steps:
            db.session.execute(_STEP, {**values, "steps": _json(self.steps)})
        for event, historical in self.told:
            emit(event, historical=historical)


def _stored(move: Move) -> Mapping[str, Any]:
    standing = move.standing
    return {
        "member": move.member_id,
        "tier": standing.tier.id,
        "since": standing.since or move.window,
        "until": standing.until,
        "locked": standing.locked_until,
        "cause": move.steps[-1].cause if move.steps else "earned",
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=plain)
