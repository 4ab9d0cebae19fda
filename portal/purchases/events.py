"""What happened to purchases (G4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRecorded(Event):
    """A sale was recorded. Amounts are minor units of `currency`; `balance` is the member's bonus afterwards."""

    TYPE: ClassVar[str] = "purchase.recorded"
    AGGREGATE: ClassVar[str] = "purchase"

    purchase_id: UUID
    business_id: UUID
    member_id: UUID
    amount: int
    paid_with_bonus: int
    bonus_accrued: int
    currency: str
    balance: int
    tier: str
    version: int
    source: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryImported(Event):
    """A batch of a business's past sales came in, `count` of them, their ids from `first_id` to `last_id` (D27).

    One message for up to a thousand sales that nobody is told of; each may be read by its id.
    """

    TYPE: ClassVar[str] = "purchases.imported"
    AGGREGATE: ClassVar[str] = "business"

    business_id: UUID
    first_id: UUID
    last_id: UUID
    count: int
    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRefunded(Event):
    """Money went back, in part or in full (`cause` refund or undo). `version` is the purchase's new one."""

    TYPE: ClassVar[str] = "purchase.refunded"
    AGGREGATE: ClassVar[str] = "purchase"

    purchase_id: UUID
    refund_id: UUID
    business_id: UUID
    member_id: UUID
    amount: int
    refunded_total: int
    bonus_taken_back: int
    bonus_given_back: int
    unrecovered: int
    currency: str
    balance: int
    cause: str
    version: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCodeRequested(Event):
    """A shop asks a member to agree to spending up to `amount` of their bonus; the code itself is in no message."""

    TYPE: ClassVar[str] = "spend_code.requested"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    business_id: UUID
    spend_code_id: UUID
    amount: int
    currency: str
    expires_at: datetime
