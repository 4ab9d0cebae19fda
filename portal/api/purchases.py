"""Sales: recorded once whatever the network does, read back, given back (D23, D24, D25)."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import abort, g, jsonify
from flask_babel import gettext
from flask_openapi3 import Tag
from sqlalchemy import func, select, tuple_

from portal.api import people, shown
from portal.api.amounts import line_amounts, minor
from portal.api.idempotency import once
from portal.api.places import place_named
from portal.api.schemas import (
    IdempotencyHeader,
    PurchaseAnswer,
    PurchaseDetail,
    PurchaseId,
    PurchaseIn,
    PurchasesOut,
    PurchasesQuery,
    RefundAnswer,
    RefundIn,
)
from portal.api.views import blueprint
from portal.api.words import _
from portal.extensions import db
from portal.identity import cards
from portal.identity.models import User
from portal.identity.queries import MemberRow, whose
from portal.kernel import clock
from portal.kernel.authz import Permission
from portal.kernel.commands import command, journal
from portal.kernel.errors import PortalError
from portal.purchases import confirmations, queries, refunds, service
from portal.purchases.models import Purchase

PURCHASES = Tag(name=_("Purchases"))
BACKDATED = timedelta(hours=72)
_member = select(func.coalesce(User.merged_into, User.id)).where(User.id == Purchase.member_id).scalar_subquery()  # D28
COLUMNS = (
    Purchase.id, Purchase.external_id, _member.label("member_id"), Purchase.receipt_number, Purchase.amount, Purchase.currency,
    Purchase.paid_with_bonus, Purchase.bonus_accrued, Purchase.refunded_total, Purchase.bonus_taken_back,
    Purchase.bonus_given_back, Purchase.category, Purchase.till, Purchase.source, Purchase.occurred_at, Purchase.recorded_at,
)  # fmt: skip


class RefundUnclear(PortalError):
    """Neither an amount nor lines, or both."""

    code = "refund.unclear"


@blueprint.post(
    "/purchases",
    permission=Permission.PURCHASES_CREATE,
    tags=[PURCHASES],
    summary=_("Record a purchase"),
    description=_(
        "Records a sale for a member: the bonus moves and the tier is checked in the same moment.\n\n"
        "Send it again with the same key, or the same `external_id`, whenever you got no answer: the sale is recorded once,"
        " the second answer is 200 with `Idempotent-Replayed: true`. Other content under the same key or `external_id` is 409"
        " `txn.idempotency_mismatch` with the names of the differing fields."
    ),
    responses={201: PurchaseAnswer, 200: PurchaseAnswer},
)
def create_purchase(header: IdempotencyHeader, body: PurchaseIn) -> Any:
    """A sale, once (API-3)."""
    return _create_purchase(header.key, body).response()


@command("purchase.record")
def _create_purchase(key: str, body: PurchaseIn) -> Any:
    return once("purchases", key, lambda: _record(body))


def _record(body: PurchaseIn) -> tuple[dict[str, Any], bool]:
    shop = g.business
    member = people.named_in_body(body.member)
    made = service.record_purchase(
        business_id=shop.id,
        member_id=member.id,
        amount=minor(body.amount, shop.currency, "amount"),
        external_id=body.external_id,
        currency=body.currency,
        occurred_at=body.occurred_at,
        category=body.category,
        location_id=place_named(shop.id, body.location) if body.location else None,
        till=body.till,
        receipt_number=body.receipt_number or None,
        lines=line_amounts(body.lines, shop.currency),
        bonus_to_spend=minor(body.bonus_to_spend, shop.currency, "bonus_to_spend"),
        confirmed_by=_consent(body, member),
        source="api",
        historical=_historical(body.occurred_at),
    )
    journal().about("purchase", made.purchase_id)
    return shown.outcome(made, body.external_id, member.id), made.replayed


def _consent(body: PurchaseIn, member: MemberRow) -> str | None:
    """The member agreed by their code, or by having their card at hand: the till sent its number."""
    if body.confirmation_code:
        return f"code:{body.confirmation_code}"
    if cards.valid_card(body.member) == member.card_number:
        return confirmations.scanned(g.business.id, member.id)
    return None


def _historical(occurred_at: datetime | None) -> bool:
    """Older sales than 72 hours are history, and only a key that may bring it can send them (G11)."""
    old = occurred_at is not None and occurred_at < clock.now() - BACKDATED
    return old and Permission.PURCHASES_IMPORT in g.api_key.scopes


@blueprint.get(
    "/purchases/<uuid:purchase_id>",
    permission=Permission.PURCHASES_READ,
    tags=[PURCHASES],
    summary=_("Read a purchase"),
    description=_("The purchase as it stands now, refunds counted in, with its lines."),
    responses={200: PurchaseDetail},
)
def purchase(path: PurchaseId) -> Any:
    """A purchase of the key's business."""
    row = _own(path.purchase_id)
    lines = [shown.line(line, row.currency) for line in queries.lines_of(row.id)]
    return jsonify(**shown.purchase(row), lines=lines)


@blueprint.get(
    "/purchases",
    permission=Permission.PURCHASES_READ,
    tags=[PURCHASES],
    summary=_("List purchases"),
    description=_("Your business's purchases, newest first. Pass `next` as `cursor` until it is null."),
    responses={200: PurchasesOut},
)
def purchases(query: PurchasesQuery) -> Any:
    """A page of the business's purchases."""
    statement = select(*COLUMNS).where(Purchase.business_id == g.business.id)
    if query.external_id is not None:
        statement = statement.where(Purchase.external_id == query.external_id)
    if query.member is not None:
        statement = statement.where(whose(Purchase.member_id, people.named_in_body(query.member).id))
    if query.cursor is not None:
        statement = statement.where(tuple_(Purchase.occurred_at, Purchase.id) < tuple_(*_place(query.cursor)))
    ordered = statement.order_by(Purchase.occurred_at.desc(), Purchase.id.desc()).limit(query.limit + 1)
    rows = db.session.execute(ordered).all()
    more = _cursor(rows[query.limit - 1]) if len(rows) > query.limit else None
    return jsonify(items=[shown.purchase(row) for row in rows[: query.limit]], next=more)


@blueprint.post(
    "/purchases/<uuid:purchase_id>/refunds",
    permission=Permission.PURCHASES_REFUND,
    tags=[PURCHASES],
    summary=_("Give money back"),
    description=_(
        "Refunds a part (`amount`), some lines (`lines`), or the rest of a purchase, and takes its bonus back in proportion.\n\n"
        "More than is left is 422 `refund.exceeds`. Repeat it with the same key as long as you got no answer."
    ),
    responses={201: RefundAnswer, 200: RefundAnswer},
)
def create_refund(path: PurchaseId, header: IdempotencyHeader, body: RefundIn) -> Any:
    """A refund, once (LOY-6)."""
    if (body.amount is None) == (body.lines is None):
        raise RefundUnclear(gettext("Send either an amount or lines."), field="amount")
    row = _own(path.purchase_id)
    return _create_refund(header.key, row.id, row.currency, body).response()


@command("purchase.refund")
def _create_refund(key: str, purchase_id: UUID, currency: str, body: RefundIn) -> Any:
    return once(f"purchases/{purchase_id}/refunds", key, lambda: _refund(purchase_id, currency, body))


def _refund(purchase_id: UUID, currency: str, body: RefundIn) -> tuple[dict[str, Any], bool]:
    made = refunds.refund_purchase(
        purchase_id,
        amount=minor(body.amount, currency, "amount", positive=True) if body.amount is not None else None,
        lines=line_amounts(body.lines, currency) if body.lines is not None else None,
        external_id=body.external_id,
        reason=body.reason,
    )
    journal().about("purchase", purchase_id)
    return shown.refund(made, purchase_id, body.external_id), made.replayed


def _own(purchase_id: UUID) -> Any:
    """A purchase of the key's business; another's does not exist."""
    row = db.session.execute(
        select(*COLUMNS).where(Purchase.id == purchase_id, Purchase.business_id == g.business.id)
    ).one_or_none()
    if row is None:
        abort(404)
    return row


class CursorInvalid(PortalError):
    """The cursor is not one that a page gave."""

    code, status = "cursor.unknown", 404


def _cursor(row: Any) -> str:
    return (
        base64.urlsafe_b64encode(json.dumps([row.occurred_at.isoformat(), str(row.id)]).encode()).decode().rstrip("=")
    )


def _place(cursor: str) -> tuple[datetime, UUID]:
    try:
        when, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found = datetime.fromisoformat(when), UUID(key)
    except (ValueError, TypeError, AttributeError):
        raise CursorInvalid(gettext("This is no cursor of a page before."), field="cursor") from None
    if found[0].tzinfo is None:
        raise CursorInvalid(gettext("This is no cursor of a page before."), field="cursor")
    return found
