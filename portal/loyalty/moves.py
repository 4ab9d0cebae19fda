"""A step on the ladder: decided by `ladder.py`, written in one statement, told once (D22, LOY-11)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from portal.kernel.commands import emit, journal
from portal.kernel.driver import run
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import ladder
from portal.loyalty.events import TierChanged
from portal.loyalty.ladder import Standing, Tier, settled
from portal.loyalty.queries import Position

CAUSES = ("earned", "expired", "manual", "merge", "refund")
_WRITE = "SELECT portal.move_write(%s, %s::jsonb, %s::uuid)"


@dataclass(frozen=True, slots=True)
class Step:
    """From one tier to another."""

    before: Tier
    after: Tier
    cause: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """What is written of a member's tier: the window's counter moves by `amount`, the standing becomes `standing`."""

    member_id: UUID
    program_id: UUID
    window: datetime
    amount: int
    earning_tier: Tier
    standing: Standing
    steps: tuple[Step, ...]
    changed: bool
    reason: str | None = None
    actor_id: UUID | None = None


def counting(place: Position, member_id: UUID, amount: int, occurred_at: datetime, now: datetime) -> Move:
    """The move of a purchase: ends that have passed first, then up as far as the window now reaches.

    The purchase itself earns by the tier held when it came, `earning_tier`.
    """
    rules = place.program.rules
    standing = place.at(now)
    window = rules.calendar.start(occurred_at)
    risen = ladder.raised(rules, standing, window, place.windows.get(window, 0) + amount, now)
    steps = (_step(place.stored, standing, "expired", now), _step(standing, risen, "earned", now))
    return _move(place, member_id, window, amount, standing.tier, risen, steps)


def taking_back(
    place: Position, member_id: UUID, amount: int, occurred_at: datetime, now: datetime, *, held_before: Tier
) -> Move:
    """The move of a refund of `amount` of a purchase at `occurred_at`: only a rise it paid for is undone."""
    rules = place.program.rules
    standing = place.at(now)
    window = rules.calendar.start(occurred_at)
    left = {**place.windows, window: place.windows.get(window, 0) - amount}
    lowered = ladder.taken_back(rules, standing, left, now, was=place.windows, held_before=held_before)
    steps = (_step(place.stored, standing, "expired", now), _step(standing, lowered, "refund", now))
    return _move(place, member_id, window, -amount, standing.tier, lowered, steps)


def settling(place: Position, member_id: UUID, now: datetime) -> Move:
    """The move of the daily job: window ends that have passed."""
    standing = place.at(now)
    window = place.program.rules.calendar.start(now)
    return _move(place, member_id, window, 0, standing.tier, standing, (_step(place.stored, standing, "expired", now),))


def deciding(
    place: Position,
    member_id: UUID,
    tier: Tier,
    now: datetime,
    *,
    locked_until: datetime | None,
    reason: str,
    actor_id: UUID | None,
) -> Move:
    """The move of a person's decision."""
    rules = place.program.rules
    standing = ladder.placed(rules, tier, now, locked_until)
    step = _step(place.at(now), standing, "manual", now)
    move = _move(place, member_id, rules.calendar.start(now), 0, standing.tier, standing, (step,))
    return replace(move, reason=reason, actor_id=actor_id)


def joining(place: Position, other: Position, member_id: UUID, now: datetime) -> Move:
    """The move of a merge (D28): `place` has the windows of both already, `other` is the standing that comes along.

    The better of the two stays with its dates, then what both spent together is looked at; a lock by hand holds.
    """
    own, came = place.at(now), other.at(now)
    later = (came.tier.rank, came.until or now) > (own.tier.rank, own.until or now)
    best = Standing(came.tier, came.since or now, came.until, came.locked_until) if later else own
    return _looked_at_again(place, member_id, own if own.locked(now) else best, now)


def parting(place: Position, member_id: UUID, before: Standing, now: datetime) -> Move:
    """The move of a merge undone: back to the standing `before` it, and up as far as the own windows reach."""
    standing = place.stored if place.stored.locked(now) else settled(place.program.rules, before, place.windows, now)
    return _looked_at_again(place, member_id, standing, now)


def _looked_at_again(place: Position, member_id: UUID, standing: Standing, now: datetime) -> Move:
    rules = place.program.rules
    earned, until = rules.supported(place.windows, now)
    if not standing.locked(now) and earned.rank > standing.tier.rank:
        standing = Standing(earned, now, until)
    elif not standing.locked(now) and earned.rank == standing.tier.rank and until and (standing.until or now) < until:
        standing = replace(standing, until=until)
    window = rules.calendar.start(now)
    step = _step(place.stored, standing, "merge", now)
    return _move(place, member_id, window, 0, standing.tier, standing, (step,))


def stored(move: Move) -> dict[str, Any]:
    """What `portal.move_write` takes."""
    placed = move.standing if move.changed else None
    return {
        "member": move.member_id,
        "program": move.program_id,
        "window": move.window,
        "amount": move.amount,
        "tier": placed.tier.id if placed else None,
        "since": (placed.since or move.window) if placed else None,
        "until": placed.until if placed else None,
        "locked": placed.locked_until if placed else None,
        "cause": _cause(move),
        "reason": move.reason,
        "actor": move.actor_id,
        "steps": [_stored(step) for step in move.steps],
    }


def tell(move: Move | None, *, historical: bool = False) -> None:
    """Journal and emit what was written, inside the same command."""
    if move is None:
        return
    if move.amount:
        journal().note("tier_progress", move.member_id, {"window_start": str(move.window), "qualifying": move.amount})
    if move.changed:
        journal().note("tier_memberships", move.member_id, {"tier": [None, move.standing.tier.code]})
    for step in move.steps:
        emit(
            TierChanged(
                member_id=move.member_id,
                from_tier=step.before.code,
                to_tier=step.after.code,
                up=step.after.rank > step.before.rank,
                cause=step.cause,
            ),
            historical=historical,
        )


def write(move: Move, purchase_id: UUID | None = None) -> None:
    """Write a move by itself, inside a command that holds the member's lock."""
    run(_WRITE, (current_tenant_id(), to_json(stored(move)).decode(), purchase_id))
    tell(move)


def _move(
    place: Position,
    member_id: UUID,
    window: datetime,
    amount: int,
    earning: Tier,
    standing: Standing,
    steps: tuple[Step | None, ...],
) -> Move:
    taken = tuple(step for step in steps if step)
    return Move(member_id, place.program.id, window, amount, earning, standing, taken, standing != place.stored)


def _step(before: Standing, after: Standing, cause: str, at: datetime) -> Step | None:
    return None if before.tier.id == after.tier.id else Step(before.tier, after.tier, cause, at)


def _cause(move: Move) -> str:
    if move.steps:
        return move.steps[-1].cause
    return "manual" if move.reason is not None else "earned"


def _stored(step: Step) -> Mapping[str, str]:
    return {
        "id": str(new_id()),
        "from_tier": str(step.before.id),
        "to_tier": str(step.after.id),
        "cause": step.cause,
        "at": step.at.isoformat(),
    }
