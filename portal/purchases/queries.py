"""Reading purchases, as Core rows."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text

from portal.extensions import db
from portal.identity import queries as people
from portal.identity.models import User
from portal.kernel import clock
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty.durations import midnight
from portal.loyalty.models import StatusTier
from portal.partners.models import Business
from portal.purchases.models import Purchase, PurchaseLine, PurchaseRefund

SHIFT = timedelta(hours=12)
TWICE_WITHIN = timedelta(minutes=2)
_cashiers = User.__table__.alias("cashiers")
_members = User.__table__.alias("members")
_owners = User.__table__.alias("owners")
COLUMNS = (
    Purchase.id,
    Purchase.business_id,
    Purchase.member_id,
    Purchase.receipt_number,
    Purchase.amount,
    Purchase.paid_with_bonus,
    Purchase.bonus_accrued,
    Purchase.refunded_total,
    Purchase.bonus_taken_back,
    Purchase.bonus_given_back,
    Purchase.currency,
    Purchase.occurred_at,
    Purchase.recorded_at,
    Purchase.source,
    Purchase.till,
    Purchase.cashier_id,
    Purchase.device_id,
    Purchase.category,
    Purchase.version,
)


def purchase(purchase_id: UUID) -> Any:
    """One purchase with its member's, cashier's, shop's and tier's names, and its trace; None when there is none."""
    statement = (
        _named(
            *COLUMNS,
            Purchase.external_id,
            Purchase.earn_base,
            Purchase.rate_num,
            Purchase.rate_den,
            Purchase.historical,
            Purchase.trace,
            Business.name.label("business"),
            Business.slug.label("business_slug"),
            StatusTier.name_i18n.label("tier_name"),
        )
        .join(Business, and_(Business.tenant_id == Purchase.tenant_id, Business.id == Purchase.business_id))
        .outerjoin(StatusTier, and_(StatusTier.tenant_id == Purchase.tenant_id, StatusTier.id == Purchase.tier_id))
        .where(Purchase.id == purchase_id)
    )
    return db.session.execute(statement).one_or_none()


def lines_of(purchase_id: UUID) -> Sequence[Any]:
    """The receipt's lines in order."""
    columns = (
        PurchaseLine.number,
        PurchaseLine.sku,
        PurchaseLine.name,
        PurchaseLine.category,
        PurchaseLine.quantity,
        PurchaseLine.amount,
        PurchaseLine.earns,
    )
    return db.session.execute(
        select(*columns).where(PurchaseLine.purchase_id == purchase_id).order_by(PurchaseLine.number)
    ).all()


def refunds_of(purchase_id: UUID) -> Sequence[Any]:
    """What went back, in order, with who did it."""
    actor = User.__table__.alias("actor")
    statement = (
        select(
            PurchaseRefund.id,
            PurchaseRefund.external_id,
            PurchaseRefund.amount,
            PurchaseRefund.eligible,
            PurchaseRefund.lines,
            PurchaseRefund.bonus_taken_back,
            PurchaseRefund.bonus_given_back,
            PurchaseRefund.unrecovered,
            PurchaseRefund.cause,
            PurchaseRefund.reason,
            PurchaseRefund.occurred_at,
            actor.c.name.label("actor"),
        )
        .outerjoin(actor, and_(actor.c.tenant_id == PurchaseRefund.tenant_id, actor.c.id == PurchaseRefund.actor_id))
        .where(PurchaseRefund.purchase_id == purchase_id)
        .order_by(PurchaseRefund.recorded_at, PurchaseRefund.id)
    )
    return db.session.execute(statement).all()


def recent_at(business_id: UUID, *, cashier_id: UUID | None = None, limit: int = 30) -> Sequence[Any]:
    """The purchases of the last twelve hours at a shop, newest first; of one cashier when given."""
    statement = _named(*COLUMNS).where(
        Purchase.business_id == business_id, Purchase.occurred_at > clock.now() - SHIFT, Purchase.historical.is_(False)
    )
    if cashier_id:
        statement = statement.where(Purchase.cashier_id == cashier_id)
    return db.session.execute(statement.order_by(Purchase.occurred_at.desc(), Purchase.id.desc()).limit(limit)).all()


def of_member(member_id: UUID, limit: int = 20) -> Sequence[Any]:
    """A member's latest purchases with the shops' names, those of accounts that were merged into theirs too (D28)."""
    statement = (
        select(*COLUMNS, Business.name.label("business"))
        .join(Business, and_(Business.tenant_id == Purchase.tenant_id, Business.id == Purchase.business_id))
        .where(people.whose(Purchase.member_id, member_id))
        .order_by(Purchase.occurred_at.desc(), Purchase.id.desc())
        .limit(limit)
    )
    return db.session.execute(statement).all()


def shift(business_id: UUID, cashier_id: UUID) -> Any:
    """This cashier's day so far: purchases, money and bonus, refunds and undos apart; the day is the tenant's."""
    begun = midnight(clock.today(g.tenant.timezone), g.tenant.timezone)
    return db.session.execute(
        text("""
        SELECT count(*) AS purchases, coalesce(sum(amount), 0)::bigint AS amount,
               coalesce(sum(bonus_accrued), 0)::bigint AS bonus_given, coalesce(sum(paid_with_bonus), 0)::bigint AS bonus_spent,
               coalesce(sum(refunded_total), 0)::bigint AS refunded,
               coalesce(sum(bonus_taken_back), 0)::bigint AS bonus_taken_back,
               coalesce(sum(bonus_given_back), 0)::bigint AS bonus_given_back,
               count(*) FILTER (WHERE refunded_total = amount AND amount > 0) AS undone
          FROM purchases
         WHERE tenant_id = :tenant AND business_id = :business AND cashier_id = :cashier AND occurred_at >= :begun"""),
        {"tenant": current_tenant_id(), "business": business_id, "cashier": cashier_id, "begun": begun},
    ).one()


def same_again(business_id: UUID, member_id: UUID, amount: int, external_id: str) -> datetime | None:
    """When the same member paid the same amount here within the last two minutes, under another key."""
    return db.session.scalar(
        select(Purchase.recorded_at)
        .where(
            Purchase.business_id == business_id,
            Purchase.member_id == member_id,
            Purchase.amount == amount,
            Purchase.external_id != external_id,
            Purchase.occurred_at > clock.now() - TWICE_WITHIN,
            Purchase.refunded_total == 0,
        )
        .order_by(Purchase.occurred_at.desc())
        .limit(1)
    )


def rung_up(business_id: UUID, external_id: str, member_id: UUID, amount: int) -> UUID | None:
    """The purchase that this form's key has made already, when it is this bill of this member."""
    return db.session.scalar(
        select(Purchase.id).where(
            Purchase.business_id == business_id,
            Purchase.external_id == external_id,
            people.whose(Purchase.member_id, member_id),
            Purchase.amount == amount,
        )
    )


def listed(business_id: UUID, q: str, filters: Mapping[str, str]) -> Select[Any]:
    """The desk's list: `q` is a receipt number or a member; filters are `from`, `to`, `till`, `source`, `refunded`."""
    return _named(*COLUMNS).where(*conditions(business_id, q, filters))


def totals(business_id: UUID, q: str, filters: Mapping[str, str]) -> Any:
    """The sums of everything that the list's filters let through, in one row."""
    return db.session.execute(
        select(
            func.count().label("purchases"),
            func.coalesce(func.sum(Purchase.amount), 0).label("amount"),
            func.coalesce(func.sum(Purchase.paid_with_bonus), 0).label("paid_with_bonus"),
            func.coalesce(func.sum(Purchase.bonus_accrued), 0).label("bonus_accrued"),
            func.coalesce(func.sum(Purchase.refunded_total), 0).label("refunded_total"),
        ).where(*conditions(business_id, q, filters))
    ).one()


def tills_of(business_id: UUID) -> list[str]:
    """The names of the tills that have rung up purchases here."""
    return list(
        db.session.scalars(
            select(Purchase.till)
            .where(Purchase.business_id == business_id, Purchase.till != "")
            .distinct()
            .order_by(Purchase.till)
            .limit(50)
        )
    )


def conditions(business_id: UUID | None, q: str, filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """What a list's and a report's filters ask of a purchase; `category` too; without a business, of all of them."""
    where: list[ColumnElement[bool]] = [Purchase.business_id == business_id] if business_id else []
    if q:
        found = people.matching(select(User.id), q)
        exact = people.find_member(q)
        receipt = Purchase.receipt_number.startswith(q, autoescape=True)
        members: list[ColumnElement[bool]] = []
        if found is not None:
            members += [Purchase.member_id.in_(found), Purchase.member_id.in_(_merged_into(found))]
        members += [people.whose(Purchase.member_id, exact.id)] if exact else []
        where.append(or_(receipt, *members))
    if begun := _day(filters.get("from")):
        where.append(Purchase.occurred_at >= midnight(begun, g.tenant.timezone))
    if last := _day(filters.get("to")):
        where.append(Purchase.occurred_at < midnight(last + timedelta(days=1), g.tenant.timezone))
    if till := filters.get("till"):
        where.append(Purchase.till == till)
    if category := filters.get("category"):
        where.append(Purchase.category == category)
    if source := filters.get("source"):
        where.append(Purchase.source == source)
    if filters.get("refunded") == "yes":
        where.append(Purchase.refunded_total > 0)
    elif filters.get("refunded") == "no":
        where.append(Purchase.refunded_total == 0)
    return where


def _merged_into(found: Any) -> Select[Any]:
    return select(User.id).where(User.merged_into.in_(found))


def _named(*columns: Any) -> Select[Any]:
    """Purchases with the member's and the cashier's names; whoever was merged into another is that other one (D28)."""
    member = func.coalesce(_owners.c.merged_into, _owners.c.id)
    return (
        select(
            *(column for column in columns if column is not Purchase.member_id),
            _members.c.id.label("member_id"),
            _members.c.name.label("member"),
            _members.c.card_number.label("card_number"),
            _cashiers.c.name.label("cashier"),
        )
        .join(_owners, and_(_owners.c.tenant_id == Purchase.tenant_id, _owners.c.id == Purchase.member_id))
        .join(_members, and_(_members.c.tenant_id == Purchase.tenant_id, _members.c.id == member))
        .outerjoin(_cashiers, and_(_cashiers.c.tenant_id == Purchase.tenant_id, _cashiers.c.id == Purchase.cashier_id))
    )


def _day(value: str | None) -> date | None:
    try:
        found = date.fromisoformat(value or "")
    except ValueError:
        return None
    return found if 1970 <= found.year <= 9000 else None  # noqa: PLR2004  what PostgreSQL and zones can hold
