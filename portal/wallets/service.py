"""The ledger, as commands use it: postings between accounts by one call of a SQL function (D17, D21, G18).

Every function here is called inside a command and joins its transaction. Amounts are minor units, above zero.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec
from uuid import UUID

import psycopg
from flask_babel import gettext
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.identity.service import MemberMerged
from portal.kernel import clock
from portal.kernel.books import plain, wherefrom, who
from portal.kernel.commands import command, journal, refuse_looking, repeated, stands_alone
from portal.kernel.driver import run
from portal.kernel.model import new_id
from portal.kernel.primaries import own_statement
from portal.kernel.tenancy import current_tenant_id
from portal.wallets.errors import AlreadyReversed, IdempotencyMismatch, InsufficientFunds, InvalidAmount, WalletLocked

P = ParamSpec("P")

BATCH = 500
NOT_AN_AMOUNT = {"KR422", "22003", "22P02"}  # refused, out of range, not a whole number


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account, and which: found or made by the ledger. All but members' are lazy (D19)."""

    owner_kind: str
    owner_id: UUID | None
    owner_key: str
    type: str

    @classmethod
    def member(cls, member_id: UUID, kind: str = "bonus") -> "Account":
        """A member's `main`, `bonus`, `locked` or `points`."""
        return cls("member", member_id, "", kind)

    @classmethod
    def issuance(cls, business_id: UUID | None = None) -> "Account":
        """Where bonus comes from: a business, so that its balance is what its bonuses cost, or the tenant."""
        if business_id is None:
            return cls("system", None, "issuance", "issuance")
        return cls("business", business_id, "", "issuance")

    @classmethod
    def payable(cls, business_id: UUID) -> "Account":
        """What the tenant owes a business for bills paid with bonus."""
        return cls("business", business_id, "", "payable")

    @classmethod
    def system(cls, key: str) -> "Account":
        """`breakage`, `fees`, or `clearing:<provider>`."""
        return cls("system", None, key, key.partition(":")[0])

    def plain(self) -> dict[str, Any]:
        owner = str(self.owner_id) if self.owner_id else None
        return {"owner_kind": self.owner_kind, "owner_id": owner, "owner_key": self.owner_key, "type": self.type}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A movement from `payer` to `payee`. `(source, external_id)` makes it happen once (WAL-3).

    `details` is shown in the statement and may hold the formula; the fields that decide are hashed. `first` is the
    posting whose lot is drawn first (LOY-6), `partial` takes what there is, `restores` puts amounts back into lots,
    `only_lot` draws that lot alone, whatever its dates,
    `debt_limit` lets the payer fall so far below zero (LOY-6 `unlimited`, D15). Between members lots keep their dates.
    """

    type: str
    source: str
    external_id: str
    currency: str
    amount: int
    payer: Account
    payee: Account
    module: str = ""
    action: str = ""
    member_id: UUID | None = None
    business_id: UUID | None = None
    occurred_at: datetime | None = None
    caused_by: UUID | None = None
    reverses_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    activates_at: datetime | None = None
    expires_at: datetime | None = None
    priority: int = 50
    granted: bool = True
    first: UUID | None = None
    only_lot: UUID | None = None
    partial: bool = False
    restores: Sequence[Mapping[str, Any]] = ()
    debt_limit: int = 0

    def deciding(self) -> dict[str, Any]:
        """The fields that make two sendings of one key the same thing."""
        return {
            "type": self.type,
            "currency": self.currency,
            "amount": str(self.amount),  # RFC 8785 ends at 2^53
            "payer": self.payer.plain(),
            "payee": self.payee.plain(),
        }

    def plain(self) -> dict[str, Any]:
        decide = self.deciding()
        return {
            "id": new_id(),
            **decide,
            "amount": self.amount,
            "module": self.module or self.source,
            "action": self.action or self.type,
            "source": self.source,
            "external_id": self.external_id,
            "request_hash": request_hash(decide),
            "member_id": self.member_id,
            "business_id": self.business_id,
            "occurred_at": self.occurred_at,
            "caused_by": self.caused_by,
            "reverses_id": self.reverses_id,
            "details": {**self.details, "request": field_hashes(decide)},
            "lot": {
                "activates_at": self.activates_at,
                "expires_at": self.expires_at,
                "priority": self.priority,
                "granted": self.granted,
            },
            "first": self.first,
            "partial": self.partial,
            "restores": list(self.restores) or None,
            "debt_limit": self.debt_limit,
            **({"only_lot": self.only_lot} if self.only_lot else {}),
        }


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a posting. Balances are None for lazy accounts; `amount` is less than asked for only if partial."""

    transaction_id: UUID | None
    replayed: bool
    amount: int
    payer_balance: int | None
    payee_balance: int | None
    allocations: list[dict[str, Any]]


def request_hash(fields: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of the fields that matter: texts, and mappings of texts with ASCII names.

    For those the encoder of `json` writes what RFC 8785 asks for.
    """
    return hashlib.sha256(_canonical(fields).encode()).hexdigest()


def field_hashes(fields: Mapping[str, Any]) -> dict[str, str]:
    """A short hash of each field, kept so that a mismatch can name what differs without keeping the values."""
    return {name: hashlib.sha256(repr(value).encode()).hexdigest()[:12] for name, value in fields.items()}


def differing(kept: Mapping[str, str], sent: Mapping[str, Any]) -> list[str]:
    """Names of the fields whose hashes differ."""
    now = field_hashes(sent)
    return sorted(name for name in {*kept, *now} if kept.get(name) != now.get(name))


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_ALONE = "SELECT ledger.post_alone(%s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_POST = "SELECT ledger.post(%s::jsonb, %s)"
_BATCH = (
    "SELECT ledger.post_batch(%b::uuid[], %b::text[], %b::text[], %b::uuid[], %b::bigint[], %b::timestamptz[],"
    " %b::timestamptz[], %b::uuid[], %b::text[], %s, %s, %s, %s, %s)"
)


def _call(statement: str, *values: object) -> Any:
    return run(statement, values).fetchone()[0]  # type: ignore[index]


def post(*postings: Posting) -> list[Posted]:
    """Post all of them or none, in one round trip.

    Raises `InsufficientFunds`, `IdempotencyMismatch`, `InvalidAmount`, `WalletLocked`, `AlreadyReversed`; the command
    must then end, since PostgreSQL has given up its transaction. A repeat of the same content is `replayed`.
    """
    made = [p.plain() for p in postings]
    try:
        answers = _call(_POST, json.dumps(made, default=plain), clock.now())
    except DBAPIError as error:
        raise named(error, postings) from error
    results = [_posted(answer) for answer in answers]
    for done in results:
        if done.transaction_id and not done.replayed:
            journal().note("ledger_transactions", done.transaction_id, {"amount": [None, done.amount]})
    return results


def planned(postings: Sequence[Posting]) -> list[dict[str, Any]]:
    """What `ledger.post` takes, noted in the journal: for a statement that posts them, none of them partial, among other things."""
    made = [p.plain() for p in postings]
    for one in made:
        journal().note("ledger_transactions", one["id"], {"amount": [None, one["amount"]]})
    return made


def _posted(answer: Mapping[str, Any]) -> Posted:
    return Posted(
        UUID(answer["id"]) if answer["id"] else None,
        answer["replayed"],
        answer["amount"],
        answer.get("payer_balance"),
        answer.get("payee_balance"),
        answer["allocations"],
    )


def named(error: DBAPIError | psycopg.Error, postings: Sequence[Posting]) -> Exception:
    """What an error of the ledger's functions means; another error comes back as it is."""
    told = error.orig if isinstance(error, DBAPIError) else error
    state, said = getattr(told, "sqlstate", None), getattr(told, "diag", None)
    if state == "KR402":
        return InsufficientFunds(gettext("There is not enough on this balance. Nothing was taken."))
    if state == "KR409":
        kept = json.loads(getattr(said, "message_detail", None) or "{}")
        sent = next((p for p in postings if p.external_id == kept.get("key")), postings[0])
        fields = differing(kept.get("request") or {}, sent.deciding())
        return IdempotencyMismatch(gettext("This was posted before with other content."), fields=fields)
    if state == "KR410":
        return MemberMerged()
    if state == "KR423":
        return WalletLocked(gettext("This balance cannot be used for that."))
    if state in NOT_AN_AMOUNT:
        return InvalidAmount(gettext("The amount must be above zero."))
    if state == "23505" and "reverses_id" in (getattr(said, "constraint_name", None) or ""):
        return AlreadyReversed(gettext("This was reversed before."))
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Accrual:
    """A row of a bulk accrual; `expires_at` in the past writes the lot as expired (D27)."""

    external_id: str
    member_id: UUID
    amount: int
    occurred_at: datetime
    expires_at: datetime | None = None
    caused_by: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchPosted:
    """How many rows were posted, and the keys of those that were there before; `differing` had other content."""

    posted: int
    skipped: list[str]
    differing: list[str]


def post_batch(
    rows: Sequence[Accrual], *, currency: str, business_id: UUID, source: str, module: str = "purchases"
) -> BatchPosted:
    """Accruals of one business, at most a thousand in one statement; rows already posted are skipped and told."""
    if not rows:
        return BatchPosted(0, [], [])
    alike = {"type": "accrual", "currency": currency, "payer": Account.issuance(business_id).plain()}
    hashes, details = [], []
    alike_hashed = field_hashes(alike)
    for row in rows:
        own = {"amount": str(row.amount), "payee": Account.member(row.member_id).plain()}
        hashes.append(request_hash({**alike, **own}))
        details.append(to_json({**row.details, "request": {**alike_hashed, **field_hashes(own)}}).decode())
    columns = (
        [new_id() for _ in rows],
        [row.external_id for row in rows],
        hashes,
        [row.member_id for row in rows],
        [row.amount for row in rows],
        [row.occurred_at for row in rows],
        [row.expires_at for row in rows],
        [row.caused_by for row in rows],
        details,
    )
    try:
        done = BatchPosted(**_call(_BATCH, *columns, currency, business_id, source, module, clock.now()))
    except DBAPIError as error:
        raise named(error, ()) from error
    if done.posted:
        journal().note("ledger_transactions", business_id, {"posted": [None, done.posted]})
    return done


@dataclass(frozen=True, slots=True)
class Act:
    """A posting that is a command of its own: whom it is filed under in the audit log, and why it was done."""

    posting: Posting
    about: tuple[str, UUID] | None = None
    reason: str | None = None


def posting_command(action: str) -> Callable[[Callable[P, Act]], Callable[P, Posted]]:
    """Make a function that says what to post a command that posts it: one statement, which is its own transaction.

    Called inside another command, a worker's delivery or a session that has begun, it posts there, as any command does.
    """

    def decorate(function: Callable[P, Act]) -> Callable[P, Posted]:
        @command(action)
        def within(act: Act) -> Posted:
            if act.about and act.about[0] == "member":
                _stay(act.about[1])
            done = post(act.posting)[0]
            if act.about:
                journal().about(*act.about)
            if act.reason:
                journal().reason(act.reason)
            if done.replayed:
                journal().unchanged()
            return done

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Posted:
            refuse_looking(action)
            act = function(*args, **kwargs)
            return _alone(action, act) if stands_alone() else within(act)

        run.command = action  # type: ignore[attr-defined]
        run.emits = ()  # type: ignore[attr-defined]
        return run

    return decorate


def _stay(member_id: UUID) -> None:
    """A merge of this member waits for this posting, or has been before it (D28). Raises `MemberMerged`."""
    row = run(
        "SELECT merged_into FROM users WHERE tenant_id = %s AND id = %s FOR KEY SHARE", (current_tenant_id(), member_id)
    )
    found = row.fetchone()
    if found and found[0]:
        raise MemberMerged


def _alone(action: str, act: Act) -> Posted:
    object_type, object_id = act.about or (None, None)
    values = (
        current_tenant_id(),
        json.dumps(act.posting.plain(), default=plain),
        new_id(),
        action,
        *who(),
        object_type,
        object_id,
        act.reason,
        *wherefrom(),
    )

    def once() -> Posted:
        with own_statement() as ask:
            return _posted(ask(_ALONE, values))

    try:
        return repeated(action, once)
    except psycopg.Error as error:
        raise named(error, [act.posting]) from error


@posting_command("wallet.adjust")
def adjust(member_id: UUID, amount: int, *, currency: str, reason: str, key: str, kind: str = "bonus") -> Act:
    """Give (`amount` > 0) or take (< 0) by hand, with a reason; `key` makes it happen once."""
    if amount == 0:
        raise InvalidAmount(gettext("The amount must be above zero."))
    own, other = Account.member(member_id, kind), Account.issuance()
    posting = Posting(
        type="adjustment",
        source="adjustment",
        external_id=key,
        currency=currency,
        amount=abs(amount),
        payer=other if amount > 0 else own,
        payee=own if amount > 0 else other,
        module="wallets",
        action="adjustment",
        member_id=member_id,
        details={"reason": reason},
    )
    return Act(posting, ("member", member_id), reason)


@command("wallet.expire")
def expire_due(limit: int = BATCH) -> int:
    """Send lots past their date to breakage (LOY-5); returns how many."""
    return _swept("expire", limit)


@command("wallet.activate")
def activate_due(limit: int = BATCH) -> int:
    """Make waiting bonus spendable (D14); returns how many lots."""
    return _swept("activate", limit)


def _swept(function: str, limit: int) -> int:
    statement = text(f"SELECT ledger.{function}(:at, :limit)")
    done = int(db.session.scalar(statement, {"at": clock.now(), "limit": limit}) or 0)
    if done:
        journal().note("lots", function, {"lots": [None, done]})
    return done


@command("wallet.fold")
def fold_lazy() -> int:
    """Move settled entries into the checkpoints of lazy accounts (D19); leaves no audit entry, since nothing changed."""
    done = int(db.session.scalar(text("SELECT ledger.fold()")) or 0)
    journal().unchanged()
    return done
