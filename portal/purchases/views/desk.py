"""The desk's list of purchases, one purchase and its refund."""

from fractions import Fraction
from typing import Any
from uuid import UUID

from flask import abort, g, redirect, request, url_for
from werkzeug.wrappers import Response

from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.loyalty.labels import rate as rate_text
from portal.purchases import labels, queries, refunds
from portal.purchases.forms import RefundForm
from portal.purchases.models import Purchase
from portal.purchases.views.trace import steps
from portal.web.fragments import render
from portal.web.paging import Sort, filters, page, query_text, when

purchases_desk = PortalBlueprint("purchases_desk", __name__, room="desk", url_prefix="/desk/<business>")
P = Permission
FILTERS = ("from", "to", "till", "source", "refunded")
SORTS = {
    "date": Sort(Purchase.occurred_at.expression, when),
    "amount": Sort(Purchase.amount.expression, int),
    "bonus": Sort(Purchase.bonus_accrued.expression, int),
}


@purchases_desk.route("/purchases", permission=P.PURCHASES_READ)
def purchases() -> Response:
    """Every purchase of the shop, with the sums of what the filters let through."""
    chosen, q = filters(*FILTERS), query_text()
    found = page(
        queries.listed(g.business.id, q, chosen),
        sorts=SORTS,
        default="-date",
        key=Purchase.id.expression,
        filters=chosen,
    )
    return render(
        "till/desk_purchases.html",
        fragment="purchases",
        page=found,
        totals=queries.totals(g.business.id, q, chosen),
        tills=queries.tills_of(g.business.id),
        currency=g.business.currency,
        export_args={"q": q or None, **{f"f.{name}": value for name, value in chosen.items()}},
        source=labels.source,
        sources=[(code, labels.source(code)) for code in ("till", "api", "import", "demo")],
    )


@purchases_desk.route("/purchases/<uuid:purchase_id>", permission=P.PURCHASES_READ)
def purchase(purchase_id: UUID) -> Response:
    """One purchase: its lines, why it earned so much, what went back, and a refund."""
    row = _purchase(purchase_id)
    form = RefundForm(data={"amount": row.amount - row.refunded_total})
    return _shown(row, form)


@purchases_desk.route("/purchases/<uuid:purchase_id>/why", permission=P.PURCHASES_READ)
def why(purchase_id: UUID) -> Response:
    """The formula, for the slip."""
    row = _purchase(purchase_id)
    return render("till/desk_why.html", purchase=row, steps=steps(row.trace.get("earn", {})))


@purchases_desk.route("/purchases/<uuid:purchase_id>/refunds", methods=["POST"], permission=P.PURCHASES_REFUND)
def create_refund(purchase_id: UUID) -> Response:
    """Give money back, by an amount or by lines; the form's key makes it one refund."""
    row, form = _purchase(purchase_id), RefundForm()
    form.amount.currency = row.currency
    lines = _lines(row, form.key)
    if lines:
        form.amount.validators = []
        form.amount.data = None
    if not form.validate():
        return _shown(row, form, status=422)
    try:
        refunds.refund_purchase(
            row.id, amount=form.amount.data, lines=lines, external_id=form.key, reason=form.reason.data or ""
        )
    except PortalError as error:
        return _shown(row, form, status=error.status, refusal=error.message)
    return redirect(
        url_for("purchases_desk.purchase", business=g.business.slug, purchase_id=row.id, _anchor="refunds"), code=303
    )


def _shown(row: Any, form: RefundForm, *, status: int = 200, refusal: str = "") -> Response:
    form.amount.currency = row.currency
    return render(
        "till/desk_purchase.html",
        status=status,
        purchase=row,
        lines=queries.lines_of(row.id),
        refunds=queries.refunds_of(row.id),
        steps=steps(row.trace.get("earn", {})),
        rate=rate_text(Fraction(row.rate_num, row.rate_den)),
        form=form,
        refusal=refusal,
        left=row.amount - row.refunded_total,
        source=labels.source,
        cause=labels.cause,
        reason=labels.reason,
    )


def _lines(row: Any, key: str) -> list[dict[str, int]]:
    """The lines ticked in the form, each with what was left of it before this very form was sent."""
    ticked = {int(n) for n in request.form.getlist("line") if n.isascii() and n.isdigit()}
    if not ticked:
        return []
    back: dict[int, int] = {}
    for refund in queries.refunds_of(row.id):
        for line in refund.lines if refund.external_id != key else ():
            back[line["number"]] = back.get(line["number"], 0) + line["amount"]
    return [
        {"number": line.number, "amount": line.amount - back.get(line.number, 0)}
        for line in queries.lines_of(row.id)
        if line.number in ticked
    ]


def _purchase(purchase_id: UUID) -> Any:
    row = queries.purchase(purchase_id)
    if row is None or row.business_id != g.business.id:
        abort(404)
    return row
