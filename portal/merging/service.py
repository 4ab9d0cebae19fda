"""Two accounts of one person made one, and parted again within seven days (D28).

A merge moves what the one account has to the other: every balance by one posting an account, its lots with their dates,
whatever they are; a contact and a Telegram account where the survivor has none. Purchases, movements, notes and
everything else stay where they were written and are shown with the survivor's, since `users.merged_into` leads there.
It is flat: whoever was merged into the one that goes now leads to the survivor too, so that no reader follows a chain.

An undo gives back what is left of the very lots that were moved, into the lots they came from, and never more (what became
spendable meanwhile waits there for the next activation, minutes later): nothing is taken from what the survivor had or earned, so that no amount can be spent by both. What was
spent, burnt, or paid a debt stays with the survivor; `Undoing` says how much before anybody confirms. Money without lots comes
back as far as the balance reaches. Purchases and refunds of the time between stay with whom they were recorded for.
A contact comes back unless the survivor changed it since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, text, update

from portal.extensions import db
from portal.identity import queries, roles, sessions
from portal.identity.events import MembersMerged, MembersParted
from portal.identity.models import ForeignIdentity, MemberMerge, User
from portal.identity.service import MemberMerged, OwnAccount, ReasonMissing, rewrite_words
from portal.kernel import clock, money
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import service as loyalty
from portal.loyalty.service import RECOUNT_LOCK
from portal.telegram.models import TelegramAccount
from portal.wallets import service as wallets
from portal.wallets.queries import balances

UNDO_FOR = timedelta(days=7)
SOURCE = "merge"
CONTACTS = ("email", "phone")
_LOCK = text(f"""
SELECT u.id, {RECOUNT_LOCK} FROM users u
 WHERE u.tenant_id = :tenant AND (u.id = ANY (:both) OR u.merged_into = :goes) ORDER BY u.id FOR UPDATE""")
# What is left of each lot that a posting brought to the survivor, or of what it became when it was activated, beside the lot
# of the other account that it came from: the ledger makes them one for one, in the order of `seq`.
_LEFT = text("""
WITH was AS (
    SELECT l.id, row_number() OVER (ORDER BY l.seq) AS n FROM lot_allocations a
      JOIN lots l ON l.tenant_id = a.tenant_id AND l.id = a.lot_id
     WHERE a.tenant_id = :tenant AND a.debit_transaction_id = :posting
), made AS (
    SELECT l.id, l.account_id, l.remaining - l.held AS rest, row_number() OVER (ORDER BY l.seq) AS n FROM lots l
     WHERE l.tenant_id = :tenant AND l.source_transaction_id = :posting
), now AS (
    SELECT n, account_id, rest FROM made
    UNION ALL
    SELECT made.n, l.account_id, l.remaining - l.held FROM made
      JOIN ledger_transactions x ON x.tenant_id = :tenant AND x.source = 'activation' AND x.external_id = made.id::text
      JOIN lots l ON l.tenant_id = :tenant AND l.source_transaction_id = x.id
)
SELECT w.type, was.id AS lot, now.rest AS amount FROM now JOIN was USING (n)
  JOIN wallet_accounts w ON w.tenant_id = :tenant AND w.id = now.account_id WHERE now.rest > 0 ORDER BY was.n""")
_UNSETTLED = text("""
SELECT true FROM wallet_accounts w WHERE w.tenant_id = :tenant AND w.owner_kind = 'member' AND w.owner_id = ANY (:both)
   AND (w.held > 0 OR w.debt > 0 OR w.posted < 0) LIMIT 1""")


class SameMember(PortalError):
    """It takes two."""

    code = "merge.same_member"


class OnStaff(PortalError):
    """The account that would go has work to do here: its roles do not move by a merge."""

    code, status = "merge.on_staff", 409


class NotSettled(PortalError):
    """A payment is under way, or a debt is open: it has to end first."""

    code, status = "merge.not_settled", 409

    def __init__(self) -> None:
        super().__init__(gettext("A payment of one of them is under way, or a debt is open. Settle that first."))


class TooLate(PortalError):
    """The seven days are over, the merge was undone, or the survivor went into a third account since."""

    code, status = "merge.too_late", 409


@dataclass(frozen=True, slots=True)
class Part:
    """One balance of a merge, in minor units: what was `moved`, and what of it can be given `back`."""

    currency: str
    type: str
    moved: int
    back: int

    @property
    def gone(self) -> int:
        """What cannot be given back."""
        return self.moved - self.back


@dataclass(frozen=True, slots=True)
class Left:
    """Something left of what was moved: on the survivor's account of this type, for this lot of the other account."""

    type: str
    lot: UUID | None
    amount: int


@command("member.merge", emits=(MembersMerged,))
def merge(from_id: UUID, into_id: UUID, *, reason: str, key: str) -> UUID:
    """Make `from_id` lead to `into_id`, with everything it has; returns the merge's id. The same `key` is the same merge.

    Waits for sales of both and is seen by those after it. Sessions of the one that goes end. Raises `SameMember`,
    `NotFound`, `service.MemberMerged` when either was merged before, `OnStaff`, `OwnAccount`, `ReasonMissing`,
    `NotSettled`, `roles.Untouchable`, and `Conflict` for the same key with two others.
    """
    if from_id == into_id:
        raise SameMember(gettext("These are one account already. Choose two."))
    if not reason.strip():
        raise ReasonMissing(gettext("Say how you know that this is one person."))
    _lock(from_id, into_id)
    if (known := db.session.scalars(select(MemberMerge).where(MemberMerge.key == key)).one_or_none()) is not None:
        if (known.from_id, known.into_id) != (from_id, into_id):
            raise Conflict(gettext("This form was used for two other members. Open the page again."))
        journal().unchanged()
        return known.id
    goes, stays = _standing(from_id), _standing(into_id)
    for member_id in (from_id, into_id):  # the one that stays may be given a contact, by which one signs in
        roles.refuse_touching(member_id)
    if g.get("actor_kind") == "member" and g.get("actor_id") in {from_id, into_id}:
        raise OwnAccount(gettext("Your own account is merged by a colleague."))
    if queries.role_keys(from_id):
        raise OnStaff(
            gettext("The account that goes has a role here. Take the role away first, or let that account stay.")
        )
    merge_id, now = new_id(), clock.now()
    row = MemberMerge(
        id=merge_id,
        key=key,
        from_id=from_id,
        into_id=into_id,
        reason=reason.strip(),
        merged_by=g.get("actor_id"),
        merged_at=now,
        undo_until=now + UNDO_FOR,
        contacts=_give_contacts(goes, stays),
    )
    followers = select(User).where(User.merged_into == from_id)
    also = list(db.session.scalars(followers, execution_options={"populate_existing": True}))
    for member in (goes, *also):
        member.merged_into = into_id
    goes.auth_epoch = (goes.auth_epoch or 0) + 1
    sessions.revoke_all(from_id)
    db.session.flush()
    rewrite_words(goes)
    rewrite_words(stays)
    row.moved = {
        "balances": _move_all(merge_id, from_id, into_id),
        "tier": loyalty.join(from_id, into_id),
        "followers": [str(member.id) for member in also],
    }
    db.session.add(row)
    db.session.flush()
    journal().about("member", into_id)
    journal().reason(reason.strip())
    emit(MembersMerged(member_id=into_id, merged_id=from_id, merge_id=merge_id))
    return merge_id


@command("member.part", emits=(MembersParted,))
def undo(merge_id: UUID, *, reason: str) -> list[Part]:
    """Part them again, within seven days; returns what came back and what could not (see above). Once is enough.

    Raises `TooLate`, `ReasonMissing`, `NotFound`, `roles.Untouchable`, and `service.MemberMerged` when the survivor was merged itself.
    """
    if not reason.strip():
        raise ReasonMissing(gettext("Say why they are two people after all."))
    seen = db.session.execute(
        select(MemberMerge.from_id, MemberMerge.into_id).where(MemberMerge.id == merge_id)
    ).one_or_none()
    if seen is None:
        raise NotFound(gettext("There is no such merge."))
    _lock(seen.from_id, seen.into_id)
    statement = select(MemberMerge).where(MemberMerge.id == merge_id).with_for_update()
    row = db.session.scalars(statement, execution_options={"populate_existing": True}).one()
    if row.undone_at is not None:
        journal().unchanged()
        return parts(row)
    if row.undo_until <= clock.now():
        raise TooLate(gettext("A merge can be undone for seven days; they are over."))
    stays = _standing(row.into_id)
    roles.refuse_touching(row.into_id)
    goes = db.session.scalars(select(User).where(User.id == row.from_id, User.archived_at.is_(None))).one_or_none()
    if goes is None:
        raise NotFound(gettext("There is no such member."))
    goes.merged_into = None
    followers = update(User).where(User.id.in_([UUID(one) for one in row.moved["followers"]]))
    db.session.execute(followers.where(User.merged_into == row.into_id).values(merged_into=row.from_id))
    db.session.flush()
    _take_contacts(goes, stays, row.contacts)
    rewrite_words(goes)
    rewrite_words(stays)
    back = _give_back(row)
    row.returned = {"balances": [[part.currency, part.type, part.moved, part.back] for part in back]}
    loyalty.part(row.from_id, row.into_id, row.moved["tier"])
    row.undone_at, row.undone_by, row.undo_reason = clock.now(), g.get("actor_id"), reason.strip()
    db.session.flush()
    journal().about("member", row.into_id)
    journal().reason(reason.strip())
    emit(MembersParted(member_id=row.into_id, merged_id=row.from_id, merge_id=merge_id))
    return back


def parts(row: MemberMerge) -> list[Part]:
    """What an undo gave back, or would give back now, by balance."""
    if row.undone_at is not None:
        return [Part(*found) for found in row.returned["balances"]]
    return [_part(moved, _left(row, moved)) for moved in row.moved["balances"]]


def may_undo(row: MemberMerge, now: datetime) -> bool:
    """Whether the merge still stands and its days are not over."""
    return row.undone_at is None and now < row.undo_until


def _lock(from_id: UUID, into_id: UUID) -> None:
    """Both, and whoever leads to the first, in the order of their ids (D18)."""
    values: dict[str, Any] = {"tenant": current_tenant_id(), "both": [from_id, into_id], "goes": from_id}
    db.session.execute(_LOCK, values)


def _standing(member_id: UUID) -> User:
    statement = select(User).where(User.id == member_id, User.archived_at.is_(None))
    member = db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if member is None:
        raise NotFound(gettext("There is no such member."))
    if member.merged_into:
        raise MemberMerged
    return member


def _move_all(merge_id: UUID, from_id: UUID, into_id: UUID) -> list[dict[str, Any]]:
    """Everything on every account, one posting each; `partial` takes what is there when the ledger has its lock."""
    own = balances(from_id)
    _refuse_unsettled(from_id, into_id)
    postings = [
        wallets.Posting(
            type=SOURCE,
            source=SOURCE,
            external_id=f"{merge_id}:{one.currency}:{one.type}",
            currency=one.currency,
            amount=money.BIGGEST,
            payer=wallets.Account.member(from_id, one.type),
            payee=wallets.Account.member(into_id, one.type),
            module="merging",
            member_id=into_id,
            partial=True,
        )
        for one in own
    ]
    done = wallets.post(*postings) if postings else []
    if any(one.posted for one in balances(from_id)):
        raise NotSettled
    return [
        {"currency": one.currency, "type": one.type, "amount": posted.amount, "posting": str(posted.transaction_id)}
        for one, posted in zip(own, done, strict=True)
        if posted.transaction_id
    ]


def _refuse_unsettled(*both: UUID) -> None:
    if db.session.scalar(_UNSETTLED, {"tenant": current_tenant_id(), "both": list(both)}):
        raise NotSettled


def _give_back(row: MemberMerge) -> list[Part]:
    """By one posting for each of the survivor's accounts where something is left, into the very lots it came from."""
    back, postings = [], []
    for moved in row.moved["balances"]:
        left = _left(row, moved)
        back.append(_part(moved, left))
        for kind in sorted({one.type for one in left}):
            lots = [one for one in left if one.type == kind]
            postings.append(
                wallets.Posting(
                    type=SOURCE,
                    source=SOURCE,
                    external_id=f"{row.id}:undo:{moved['currency']}:{moved['type']}:{kind}",
                    currency=moved["currency"],
                    amount=sum(one.amount for one in lots),
                    payer=wallets.Account.member(row.into_id, kind),
                    payee=wallets.Account.member(row.from_id, moved["type"]),
                    module="merging",
                    action="part",
                    member_id=row.from_id,
                    first=UUID(moved["posting"]),
                    restores=[{"lot": one.lot, "amount": one.amount} for one in lots if one.lot],
                )
            )
    if postings:
        wallets.post(*postings)
    return back


def _part(moved: Mapping[str, Any], left: Sequence[Left]) -> Part:
    return Part(moved["currency"], moved["type"], moved["amount"], sum(one.amount for one in left))


def _left(row: MemberMerge, moved: Mapping[str, Any]) -> list[Left]:
    """What is left of one moved balance."""
    if moved["type"] == "main":
        there = next((b for b in balances(row.into_id) if (b.type, b.currency) == ("main", moved["currency"])), None)
        amount = min(moved["amount"], there.spendable) if there else 0
        return [Left("main", None, amount)] if amount > 0 else []
    values = {"tenant": current_tenant_id(), "posting": UUID(moved["posting"])}
    return [Left(*found) for found in db.session.execute(_LEFT, values)]


def _give_contacts(goes: User, stays: User) -> dict[str, Any]:
    """E-mail, phone and Telegram of the one that goes, where the survivor has none; returns what was given."""
    given: dict[str, Any] = {}
    taken = {name: (getattr(goes, name), getattr(goes, f"{name}_confirmed_at")) for name in CONTACTS}
    for name, (value, confirmed_at) in taken.items():
        if value and getattr(stays, name) is None:
            given[name] = {"value": value, "confirmed_at": confirmed_at and confirmed_at.isoformat()}
            setattr(goes, name, None)
            setattr(goes, f"{name}_confirmed_at", None)
    db.session.flush()  # a contact has one owner at any moment
    for name in given:
        value, confirmed_at = taken[name]
        setattr(stays, name, value)
        setattr(stays, f"{name}_confirmed_at", confirmed_at)
    telegram = _telegram_of(goes.id)
    if telegram and _telegram_of(stays.id) is None:
        given["telegram"] = telegram
        _move_telegram(telegram, goes.id, stays.id)
    return given


def _take_contacts(goes: User, stays: User, given: Mapping[str, Any]) -> None:
    """What the survivor still has of it goes back."""
    back = {name: given[name] for name in CONTACTS if name in given and getattr(stays, name) == given[name]["value"]}
    for name in back:
        setattr(stays, name, None)
        setattr(stays, f"{name}_confirmed_at", None)
    db.session.flush()
    for name, was in back.items():
        setattr(goes, name, was["value"])
        setattr(goes, f"{name}_confirmed_at", was["confirmed_at"] and datetime.fromisoformat(was["confirmed_at"]))
    if back:
        stays.auth_epoch = (stays.auth_epoch or 0) + 1  # whoever came in by a contact of the other one goes
        sessions.revoke_all(stays.id)
    if (telegram := given.get("telegram")) and _telegram_of(stays.id) == telegram:
        _move_telegram(telegram, stays.id, goes.id)


def _telegram_of(member_id: UUID) -> int | None:
    return db.session.scalar(select(TelegramAccount.telegram_id).where(TelegramAccount.user_id == member_id))


def _move_telegram(telegram_id: int, from_id: UUID, to_id: UUID) -> None:
    account, identity = TelegramAccount, ForeignIdentity
    db.session.execute(
        update(account).where(account.user_id == from_id, account.telegram_id == telegram_id).values(user_id=to_id)
    )
    db.session.execute(
        update(identity)
        .where(identity.provider == "telegram", identity.user_id == from_id, identity.subject == str(telegram_id))
        .values(user_id=to_id)
    )
    journal().note("telegram_accounts", telegram_id, {"user_id": [str(from_id), str(to_id)]})
