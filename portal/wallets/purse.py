"""A member's accounts as they think of them: one that pays at the tills, what waits beside it, and the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from flask import g

from portal.wallets.queries import Balance, balances

LOCKED = "locked"  # neither spent nor paid out until it is unlocked (WAL-6)


@dataclass(frozen=True, slots=True)
class Purse:
    """`main` is bonus in the tenant's currency, else the first bonus, else any account; None before the first movement.

    `waiting` is bonus that becomes spendable later, from `waiting_from` on, in minor units of `main`'s currency; most of
    it lies on the account `waits_on`. `others` are neither of these, and not empty.
    `earlier` are accounts of whoever was merged into this member: empty, with their movements (D28).
    """

    accounts: Sequence[Balance]
    main: Balance | None
    waiting: int
    waiting_from: datetime | None
    waits_on: Balance | None
    others: Sequence[Balance]
    earlier: Sequence[Balance] = ()

    def account(self, account_id: UUID) -> Balance | None:
        """One of these accounts."""
        return next((a for a in (*self.accounts, *self.earlier) if a.account_id == account_id), None)


def purse(member_id: UUID) -> Purse:
    """Everything a member owns here, in one statement."""
    first = (g.tenant.settings.get("currencies") or {}).get("first", "")
    every = balances(member_id, merged=True)
    own = sorted_out([a for a in every if a.owner_id == member_id], g.tenant.currency, first)
    return replace(own, earlier=[a for a in every if a.owner_id != member_id])


def sorted_out(accounts: Sequence[Balance], currency: str, first: str = "") -> Purse:
    """The purse of these accounts; of the others those in the currency `first` stand first. Pure."""
    ranked = sorted(accounts, key=lambda a: (a.type != "bonus", a.currency != currency))
    main = ranked[0] if ranked else None
    later = [a for a in accounts if a.pending and main and a.currency == main.currency]
    moments = [a.pending_at for a in later if a.pending_at]
    waits_on = max(later, key=lambda a: a.pending, default=None)
    others = [a for a in accounts if a is not main and a is not waits_on and (a.posted or a.held)]
    others.sort(key=lambda a: a.currency != first)
    return Purse(accounts, main, sum(a.pending for a in later), min(moments, default=None), waits_on, others)
