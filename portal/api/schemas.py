"""What calls send and what they are answered, as the description shows it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from portal.api.fields import (
    Amount,
    Body,
    CurrencyCode,
    Flag,
    Headers,
    Id,
    Moment,
    Named,
    Quantity,
    Reference,
    ShortText,
    Text,
)
from portal.api.words import _

KEY_FORM = r"^[\x21-\x7e]{1,255}$"
EXAMPLE_CARD = "5000 0000 1015"


class IdempotencyHeader(Headers):
    """The caller's own name for this call: the same key and content again is answered again, and done once."""

    key: Annotated[str, StringConstraints(pattern=KEY_FORM)] = Field(
        alias="Idempotency-Key", description=_("1 to 255 printable characters, e.g. a UUID; remembered for 30 days.")
    )


class LineIn(Body):
    """A line of the receipt."""

    sku: ShortText | None = None
    name: Named
    category: ShortText = ""
    quantity: Quantity = Field("1", description=_("A whole number or a decimal string, three decimals at most."))
    amount: Amount = Field(description=_("The whole line's price."))
    earns: Flag = Field(True, description=_("false for goods that bring no bonus."))


class PurchaseIn(Body):
    """A sale."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"external_id": "till-1-000451", "member": EXAMPLE_CARD, "amount": "1240.00", "currency": "RUB"}
        },
    )

    external_id: Reference = Field(description=_("Your own number of the sale, unique in your business for ever."))
    member: Reference = Field(description=_("Card number in any writing, phone, e-mail, or the member's id."))
    amount: Amount = Field(description=_("The whole bill as a decimal string with the currency's decimals."))
    currency: CurrencyCode = Field(description=_("The business's currency."))
    occurred_at: Moment | None = Field(
        None,
        description=_(
            "When it was sold, if not now: at most 72 hours ago; older ones need the scope purchases.import."
        ),
    )
    category: ShortText | None = Field(None, description=_("Kind of goods; the business's own by default."))
    location: Text | None = Field(None, description=_("Name or id of one of the business's places."))
    till: ShortText = ""
    receipt_number: Text | None = Field(None, description=_("What stands on the slip; external_id by default."))
    lines: list[LineIn] = Field([], max_length=500, description=_("Together they are the amount."))
    bonus_to_spend: Amount = Field(
        "0",
        description=_(
            "How much of the bill is paid with bonus. Where the business asks for consent, send the card number as"
            " member, or the member's code."
        ),
    )
    confirmation_code: ShortText | None = Field(
        None, description=_("The six digits on the member's phone, if your shop asks.")
    )


class RefundLineIn(Body):
    """Which line of the receipt comes back, and how much of it."""

    number: Annotated[int, Field(strict=True, ge=1, le=500)]
    amount: Amount


class RefundIn(Body):
    """Money given back: an amount, or lines."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"external_id": "till-1-r-17", "amount": "240.00", "reason": "returned"},
            "oneOf": [
                {"required": ["amount"], "properties": {"amount": {"type": "string"}, "lines": {"type": "null"}}},
                {"required": ["lines"], "properties": {"lines": {"type": "array"}, "amount": {"type": "null"}}},
            ],
        },
    )

    external_id: Reference
    amount: Amount | None = None
    lines: list[RefundLineIn] | None = Field(None, min_length=1, max_length=500)
    reason: Text = ""


class PurchaseId(BaseModel):
    """Which purchase."""

    purchase_id: Id


class MemberPath(BaseModel):
    """Which member."""

    card_or_phone: str = Field(max_length=254, description=_("Card number, phone, e-mail or id."))


class PurchasesQuery(Body):
    """Which part of the list."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=300, description=_("`next` of the page before."))
    external_id: Annotated[str, StringConstraints(max_length=200)] | None = None
    member: Annotated[str, StringConstraints(max_length=254)] | None = Field(
        None, description=_("Card, phone, e-mail or id.")
    )


class TierOut(BaseModel):
    """A status tier."""

    code: str
    name: str


class BalancesOut(BaseModel):
    """What a member has, in the business's currency."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": {"type": "string"}})

    bonus: str


class PingOut(BaseModel):
    """Who the key speaks for."""

    tenant: str
    business: str
    currency: str
    key: str
    scopes: list[str]
    time: str


class MemberOut(BaseModel):
    """A member as a till shows one."""

    id: Id
    name: str
    card: str
    tier: TierOut | None
    currency: str
    balances: BalancesOut
    suspended: bool


class PurchaseAnswer(BaseModel):
    """A recorded sale and where the member stands after it."""

    id: Id
    external_id: str
    member_id: Id
    receipt_number: str
    amount: str
    currency: str
    paid_with_bonus: str
    bonus_accrued: str
    balances: BalancesOut
    tier: TierOut | None
    occurred_at: str


class PurchaseOut(BaseModel):
    """A purchase as it stands now."""

    id: Id
    external_id: str
    member_id: Id
    receipt_number: str
    amount: str
    currency: str
    paid_with_bonus: str
    bonus_accrued: str
    refunded_total: str
    bonus_taken_back: str
    bonus_given_back: str
    category: str
    till: str
    source: str
    occurred_at: str
    recorded_at: str


class LineOut(BaseModel):
    """A line of the receipt."""

    number: int
    sku: str | None
    name: str
    category: str
    quantity: str
    amount: str
    earns: bool


class PurchaseDetail(PurchaseOut):
    """A purchase with its lines."""

    lines: list[LineOut]


class PurchasesOut(BaseModel):
    """A page of the list, newest first."""

    items: list[PurchaseOut]
    next: str | None = Field(description=_("Pass it as `cursor` for the page after; null at the end."))


class RefundAnswer(BaseModel):
    """What went back."""

    refund_id: Id
    purchase_id: Id
    external_id: str
    amount: str
    refunded_total: str
    currency: str
    bonus_taken_back: str
    bonus_given_back: str
    unrecovered: str
    balances: BalancesOut
    tier: TierOut | None
