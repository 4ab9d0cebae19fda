"""The member's consent to spend their bonus, as the shop asks for it: nothing, the card at hand, or a code.

`card_scan`: the till found the member by their card's number or QR, and got a signed note that says so. `code`: six digits
on the member's own phone. Both are checked by the server; what the browser says about them counts for nothing.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import current_app, g
from flask_babel import gettext
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import PortalError
from portal.kernel.model import new_id
from portal.kernel.side import instead
from portal.kernel.tenancy import current_tenant_id
from portal.purchases.events import SpendCodeRequested
from portal.purchases.models import SpendCode

SCAN_LASTS_S = 15 * 60
CODE_LASTS = timedelta(minutes=10)
TRIES = 5
DIGITS = 6
PURPOSE = "spend"


class ConfirmationMissing(PortalError):
    """This shop takes bonus only with the member's card at hand or with their code."""

    code = "purchase.confirmation_required"


class CodeWrong(PortalError):
    """The code does not fit, is used, too old, or was guessed at too often."""

    code = "purchase.code_wrong"


def scanned(business_id: UUID, member_id: UUID) -> str:
    """The note that the member's card was at hand, good at this shop, for this member, on this device, for 15 minutes."""
    return str(_signer().dumps(_scope(business_id, member_id)))


def is_scanned(token: str | None, business_id: UUID, member_id: UUID) -> bool:
    """Whether the note is ours, fresh, and of this shop, member and device."""
    if not token or token.startswith("code:"):
        return False
    try:
        return bool(_signer().loads(token, max_age=SCAN_LASTS_S) == _scope(business_id, member_id))
    except BadData:
        return False


def check(kind: str, confirmed_by: str | None, *, business_id: UUID, member_id: UUID, amount: int) -> None:
    """Refuse a spend without the consent that the business asks for. Raises `ConfirmationMissing`, `CodeWrong`.

    Inside a command; a code is used up by it. `confirmed_by` is a note of `scanned`, or `code:<six digits>`.
    """
    if kind == "none":
        return
    if kind == "card_scan":
        if not is_scanned(confirmed_by, business_id, member_id):
            raise ConfirmationMissing(
                gettext("To pay with bonus, scan the member's card or type its whole number first.")
            )
        return
    if not confirmed_by or not confirmed_by.startswith("code:"):
        raise ConfirmationMissing(gettext("To pay with bonus, ask the member for the code on their phone."))
    _use(confirmed_by.removeprefix("code:"), business_id, member_id, amount)


@command("purchase.request_spend_code", emits=(SpendCodeRequested,))
def request_code(business_id: UUID, member_id: UUID, amount: int, currency: str) -> UUID:
    """Ask the member to agree to spending up to `amount`; they see six digits for ten minutes. Older codes end."""
    now = clock.now()
    values = {"tenant": current_tenant_id(), "business": business_id, "member": member_id, "now": now}
    db.session.execute(
        text(
            "UPDATE spend_codes SET expires_at = :now WHERE tenant_id = :tenant AND business_id = :business"
            " AND member_id = :member AND expires_at > :now"
        ),
        values,
    )
    row = SpendCode(
        id=new_id(),
        business_id=business_id,
        member_id=member_id,
        amount=amount,
        currency=currency,
        requested_by=g.get("actor_id"),
        created_at=now,
        expires_at=now + CODE_LASTS,
    )
    db.session.add(row)
    db.session.flush()
    journal().about("member", member_id)
    emit(
        SpendCodeRequested(
            member_id=member_id,
            business_id=business_id,
            spend_code_id=row.id,
            amount=amount,
            currency=currency,
            expires_at=row.expires_at,
        )
    )
    return row.id


def open_codes(member_id: UUID) -> list[Any]:
    """The codes a member may show now, newest first, each with `digits`, the shop's name and the amount."""
    rows = db.session.execute(
        text(
            "SELECT c.id, c.amount, c.currency, c.expires_at, b.name AS business FROM spend_codes c"
            " JOIN businesses b ON b.tenant_id = c.tenant_id AND b.id = c.business_id"
            " WHERE c.tenant_id = :tenant AND c.member_id = :member AND c.used_at IS NULL AND c.expires_at > :now"
            " ORDER BY c.created_at DESC LIMIT 5"
        ),
        {"tenant": current_tenant_id(), "member": member_id, "now": clock.now()},
    )
    return [{**row._mapping, "digits": digits_of(row.id)} for row in rows]


def digits_of(code_id: UUID) -> str:
    """The six digits of a code: made from its id and the portal's key, stored nowhere."""
    key = str(current_app.config["SECRET_KEY"]).encode()
    made = hmac.new(key, b"spend-code:" + code_id.bytes, hashlib.sha256).digest()
    return str(int.from_bytes(made[:8]) % 10**DIGITS).zfill(DIGITS)


def _use(typed: str, business_id: UUID, member_id: UUID, amount: int) -> None:
    values: dict[str, Any] = {
        "tenant": current_tenant_id(),
        "business": business_id,
        "member": member_id,
        "now": clock.now(),
        "purpose": PURPOSE,
    }
    row = db.session.execute(
        text(
            "SELECT c.id, c.amount, (SELECT count(*) FROM otp_attempts o WHERE o.tenant_id = c.tenant_id"
            " AND o.purpose = :purpose AND o.subject_id = c.id) AS tries FROM spend_codes c"
            " WHERE c.tenant_id = :tenant AND c.business_id = :business AND c.member_id = :member AND c.used_at IS NULL"
            " AND c.expires_at > :now ORDER BY c.created_at DESC LIMIT 1 FOR UPDATE"
        ),
        values,
    ).one_or_none()
    if row is None:
        raise CodeWrong(gettext("There is no open code. Send the member a new one."))
    if row.tries >= TRIES:
        raise CodeWrong(gettext("This code was tried too often. Send the member a new one."))
    if not hmac.compare_digest(digits_of(row.id).encode(), typed.strip().encode()):
        instead(
            "INSERT INTO otp_attempts (tenant_id, id, purpose, subject_id, at) VALUES (:tenant, :id, :purpose, :subject, :now)",
            {**{k: values[k] for k in ("tenant", "purpose", "now")}, "id": new_id(), "subject": row.id},
        )
        raise CodeWrong(gettext("This is not the code on the member's phone."), left=TRIES - row.tries - 1)
    if amount > row.amount:
        raise CodeWrong(gettext("The member agreed to less. Send a new code for this amount."))
    db.session.execute(
        text("UPDATE spend_codes SET used_at = :now WHERE tenant_id = :tenant AND id = :id"), {**values, "id": row.id}
    )
    journal().note("spend_codes", row.id, {"used_at": [None, str(values["now"])]})


def _scope(business_id: UUID, member_id: UUID) -> list[str]:
    device = g.get("device_session")
    return [str(current_tenant_id()), str(business_id), str(member_id), str(device.id) if device else ""]


def _signer() -> URLSafeTimedSerializer:
    keys = [*current_app.config.get("SECRET_KEY_FALLBACKS", []), current_app.config["SECRET_KEY"]]
    return URLSafeTimedSerializer(keys, salt="till-card-scan")
