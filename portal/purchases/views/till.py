"""The till: find the member, take the bill, say what happened, take it back (ui.md)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from babel.numbers import get_decimal_symbol
from flask import abort, g, redirect, request, url_for
from flask_babel import gettext, ngettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.identity import cards
from portal.identity import queries as people
from portal.kernel import clock, money
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.loyalty import queries as loyalty
from portal.purchases import confirmations, labels, policies, queries, refunds, service
from portal.purchases.enrolment import enrol_member
from portal.purchases.forms import EnrolForm, PurchaseForm, RefundForm, UndoForm
from portal.purchases.quote import Quote, quote
from portal.purchases.views.trace import steps
from portal.web.forms import repeated
from portal.web.fragments import render, wants_fragment
from portal.web.locale import current as locale
from portal.web.security import reading

purchases_till = PortalBlueprint("purchases_till", __name__, room="till", module="till", url_prefix="/till/<business>")
P = Permission
FOUND_AT_ONCE = 12


@purchases_till.route("", permission=P.PURCHASES_CREATE)
def find() -> Response:
    """One field that takes everything: a scan, a card, a phone, an e-mail, a name, the card's short code."""
    q = request.args.get("q", "").replace("\x00", "").strip()[:200]
    exact = people.find_member(q) if q else None
    if exact and not wants_fragment():
        return redirect(_purchase_url(exact.id, q))
    found = [exact] if exact else people.search_members(q, FOUND_AT_ONCE) if q else []
    if len(found) == 1 and not wants_fragment():
        return redirect(_purchase_url(found[0].id, q))
    links = {member.id: _purchase_url(member.id, q) for member in found}
    return render("till/find.html", fragment="results", q=q, found=found, links=links, initials=_initials)


@purchases_till.route("/members/new", methods=["GET", "POST"], permission=P.MEMBERS_CREATE)
def enrol() -> Response:
    """A new member: name, telephone, consent."""
    form = EnrolForm(data={"phone": _phone(request.args.get("q", ""))} if reading() else None)
    if reading():
        return render("till/enrol.html", form=form, known=None)
    if (led := repeated(form)) is not None:
        return led
    known = None
    if form.validate():
        try:
            member_id = enrol_member(form, g.business.slug)
            return redirect(_purchase_url(member_id, ""), code=303)
        except PortalError as error:
            field = str(error.extra.get("field", "phone" if error.code == "member.invalid_phone" else "name"))
            form[field if field in form else "phone"].errors = [error.message]
            known = people.find_member(form.phone.data or "") if error.code == "member.contact_taken" else None
    return render("till/enrol.html", status=422, form=form, known=known)


@purchases_till.route("/members/<uuid:member_id>", permission=P.PURCHASES_CREATE)
def member(member_id: UUID) -> Response:
    """The bill of one member."""
    form = PurchaseForm(data={"member_id": str(member_id), "seen": request.args.get("seen", ""), "bonus": "none"})
    return _bill(form, member_id)


@purchases_till.route("/members/<uuid:member_id>/quote", permission=P.PURCHASES_CREATE)
def quoted(member_id: UUID) -> Response:
    """The sum as it is typed; nothing is written."""
    form = _typed()
    form.member_id.data = str(member_id)
    return _bill(form, member_id, fragment="till_summary", oob=("till_picks", "till_pay"))


@purchases_till.route("/members/<uuid:member_id>/why", permission=P.PURCHASES_CREATE)
def why_quote(member_id: UUID) -> Response:
    """Why so much bonus, before the purchase."""
    form = _typed()
    member = _member(member_id)
    member_id = member.id
    bill = quote(g.business, member_id, form.amount.data or 0, form.bonus.data or "none")
    tier = bill.standing.tier if bill.standing else None
    trace = bill.earned.trace(
        bill.currency,
        tier=tier.code if tier else "",
        tier_name=dict(tier.name_i18n) if tier else {},
        expires_at=bill.bonus_expires_at.isoformat() if bill.bonus_expires_at else None,
    )
    back = url_for("purchases_till.member", business=g.business.slug, member_id=member_id)
    return render(
        "till/why.html", steps=steps(trace), who=member.name, bonus=bill.earned.bonus, currency=bill.currency, back=back
    )


@purchases_till.route("/purchases", methods=["POST"], permission=P.PURCHASES_CREATE)
def create_purchase() -> Response:
    """Ring it up. The form's one-time key is the purchase's own, so pressing twice is one purchase."""
    form = PurchaseForm()
    form.amount.currency = g.business.currency
    if cards.valid_card(form.amount.typed or ""):  # a scanner typed into the bill: it is the next member's card
        return redirect(url_for("purchases_till.find", business=g.business.slug, q=form.amount.typed), code=303)
    try:
        member_id = UUID(form.member_id.data or "")
    except ValueError:
        abort(404)
    member = _member(member_id)
    member_id = member.id
    if not form.validate():
        return _bill(form, member_id, status=422)
    amount = int(form.amount.data or 0)
    if (made := queries.rung_up(g.business.id, form.key, member_id, amount)) is not None:
        return _to_done(made)  # sent twice: what "most" means has changed meanwhile, the purchase has not
    bill = quote(g.business, member_id, amount, form.bonus.data or "none")
    if request.form.get("step") == "code":
        return _send_code(form, member_id, bill)
    if request.form.get("step") == "quote":
        return _bill(form, member_id)
    if form.shown.data and form.shown.data != bill.seen and not form.shown.data.startswith("0:"):
        return _bill(
            form,
            member_id,
            status=422,
            refusal=gettext("The sum has changed since you saw it. Look at it and press once more."),
        )
    if not form.again.data and (twice := queries.same_again(g.business.id, member_id, amount, form.key)):
        return _bill(form, member_id, status=422, twice=_ago(twice))
    post = current_user.works_at(g.business.id)
    try:
        outcome = service.record_purchase(
            business_id=g.business.id,
            member_id=member.id,
            amount=amount,
            external_id=form.key,
            receipt_number=form.receipt_number.data or None,
            location_id=post.location_id if post else None,
            bonus_to_spend=bill.spend,
            confirmed_by=f"code:{form.code.data}" if g.business.spend_confirmation == "code" else form.seen.data,
            source="till",
        )
    except PortalError as error:
        if (made := queries.rung_up(g.business.id, form.key, member_id, amount)) is not None:
            return _to_done(made)
        return _bill(form, member_id, status=error.status, refusal=error.message)
    return _to_done(outcome.purchase_id)


@purchases_till.route("/purchases/<uuid:purchase_id>", permission=P.PURCHASES_CREATE)
def purchase(purchase_id: UUID) -> Response:
    """Done: what was paid, what was earned, where the member stands, and the way back."""
    return _done(_purchase(purchase_id), UndoForm())


@purchases_till.route("/purchases/<uuid:purchase_id>/why", permission=P.PURCHASES_CREATE)
def why_purchase(purchase_id: UUID) -> Response:
    """Why so much bonus, afterwards."""
    row = _purchase(purchase_id)
    back = url_for("purchases_till.purchase", business=g.business.slug, purchase_id=purchase_id)
    return render(
        "till/why.html",
        steps=steps(row.trace.get("earn", {})),
        who=row.member,
        bonus=row.bonus_accrued,
        currency=row.currency,
        back=back,
    )


@purchases_till.route("/purchases/<uuid:purchase_id>/undo", methods=["POST"], permission=P.PURCHASES_REFUND)
def undo(purchase_id: UUID) -> Response:
    """Take the whole purchase back, with a reason."""
    row, form = _purchase(purchase_id), UndoForm()
    if not form.validate():
        return _done(row, form, status=422)
    try:
        refunds.undo_purchase(row.id, reason=form.reason.data, key=form.key)
    except PortalError as error:
        return _done(row, form, status=error.status, refusal=error.message)
    return redirect(url_for("purchases_till.purchase", business=g.business.slug, purchase_id=row.id), code=303)


@purchases_till.route("/purchases/<uuid:purchase_id>/refunds", methods=["GET", "POST"], permission=P.PURCHASES_REFUND)
def refund(purchase_id: UUID) -> Response:
    """Give a part or all of it back."""
    row = _purchase(purchase_id)
    left = row.amount - row.refunded_total
    form = RefundForm(data={"amount": left} if reading() else None)
    form.amount.currency = row.currency
    if reading():
        return render("till/refund.html", purchase=row, form=form, left=left, refusal="")
    if not form.validate():
        return render("till/refund.html", status=422, purchase=row, form=form, left=left, refusal="")
    try:
        refunds.refund_purchase(row.id, amount=form.amount.data, external_id=form.key, reason=form.reason.data)
    except PortalError as error:
        return render(
            "till/refund.html", status=error.status, purchase=row, form=form, left=left, refusal=error.message
        )
    return redirect(url_for("purchases_till.purchase", business=g.business.slug, purchase_id=row.id), code=303)


@purchases_till.route("/shift", permission=P.PURCHASES_CREATE)
def shift() -> Response:
    """My day at this till, and the purchases of the last twelve hours."""
    return render(
        "till/shift.html",
        sums=queries.shift(g.business.id, current_user.id),
        rows=queries.recent_at(g.business.id),
        currency=g.business.currency,
    )


def _to_done(purchase_id: UUID) -> Response:
    return redirect(url_for("purchases_till.purchase", business=g.business.slug, purchase_id=purchase_id), code=303)


def _typed() -> PurchaseForm:
    """The bill out of the address, read but not judged: a half-typed amount counts as nothing yet."""
    form = PurchaseForm()
    form.amount.currency = g.business.currency
    form.process(request.args)
    return form


def _bill(
    form: PurchaseForm,
    member_id: UUID,
    *,
    status: int = 200,
    fragment: str = "main",
    oob: tuple[str, ...] = (),
    refusal: str = "",
    twice: str = "",
    code_sent: bool = False,
) -> Response:
    member = _member(member_id)
    member_id = member.id
    form.amount.currency = g.business.currency
    bill = quote(g.business, member_id, form.amount.data or 0, form.bonus.data or "none")
    form.shown.data = bill.seen
    return render(
        "till/purchase.html",
        fragment=fragment,
        oob=oob,
        status=status,
        form=form,
        member=member,
        bill=bill,
        confirmed=_may_spend(form, member_id),
        initials=_initials(member.name),
        mark=get_decimal_symbol(locale()) if money.currency(bill.currency).exponent else "00",
        code_sent=code_sent,
        shown_amount=form.amount._value().replace("\x00", ""),
        quote_url=url_for("purchases_till.quoted", business=g.business.slug, member_id=member_id),
        refusal=refusal,
        twice=twice,
    )


def _initials(name: str) -> str:
    """The two letters in a member's circle."""
    return "".join(word[0] for word in name.split()[:2]).upper()


def _may_spend(form: PurchaseForm, member_id: UUID) -> bool:
    """Whether the shop's way of asking the member is open on this page."""
    if g.business.spend_confirmation == "card_scan":
        return confirmations.is_scanned(form.seen.data, g.business.id, member_id)
    return True


def _send_code(form: PurchaseForm, member_id: UUID, bill: Quote) -> Response:
    if not bill.spend:
        return _bill(form, member_id, status=422, refusal=gettext("Choose how much bonus to take first."))
    confirmations.request_code(g.business.id, member_id, bill.spend, bill.currency)
    return _bill(form, member_id, code_sent=True)


def _done(row: Any, form: UndoForm, *, status: int = 200, refusal: str = "") -> Response:
    outcome = row.trace.get("outcome", {})
    device = g.get("device_session")
    standing = loyalty.standing_of(row.member_id)
    return render(
        "till/done.html",
        status=status,
        purchase=row,
        form=form,
        refusal=refusal,
        refunds=queries.refunds_of(row.id) if row.refunded_total else [],
        standing=standing,
        rose=bool((outcome.get("tier") or {}).get("up")),
        balance=outcome.get("balances", {}).get("bonus", 0),
        can_undo=policies.may_undo(row, current_user, device.id if device else None, clock.now()),
        reason=labels.reason,
        cause=labels.cause,
    )


def _purchase(purchase_id: UUID) -> Any:
    """A purchase of this shop; anybody else's does not exist."""
    row = queries.purchase(purchase_id)
    if row is None or row.business_id != g.business.id:
        abort(404)
    return row


def _member(member_id: UUID) -> people.MemberRow:
    found = people.member(member_id)
    if found is None:
        abort(404)
    return found


def _purchase_url(member_id: UUID, typed: str) -> str:
    """Where the bill is taken. Whoever typed or scanned the whole card had it at hand; the note says so."""
    seen = confirmations.scanned(g.business.id, member_id) if cards.valid_card(typed) else None
    return url_for("purchases_till.member", business=g.business.slug, member_id=member_id, seen=seen)


def _phone(typed: str) -> str:
    """What was looked for, when it can be the telephone of the new member."""
    kept = typed.strip()[:40]
    return kept if kept and not set(kept) - set("+0123456789 ()-") else ""


def _ago(moment: datetime) -> str:
    seconds = max(1, int((clock.now() - moment).total_seconds()))
    return ngettext("%(num)s second ago", "%(num)s seconds ago", seconds)
