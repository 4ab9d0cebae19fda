"""The codes that the API refuses with: what each means and what to do, for the page and for whoever follows a `type` (RFC 9457)."""

from collections.abc import Iterable
from typing import NamedTuple

from flask_babel import gettext


class Code(NamedTuple):
    """A code, the status it comes with, and what to do about it."""

    code: str
    status: int
    meaning: str


def codes() -> Iterable[Code]:
    """Every one, by status, in the reader's language."""
    return sorted(
        (Code(code, status, told) for code, (status, told) in _told().items()), key=lambda c: (c.status, c.code)
    )


def _told() -> dict[str, tuple[int, str]]:
    again = gettext("Repeat the same call with the same Idempotency-Key after Retry-After.")
    return {
        "auth.key_in_url": (400, gettext("A key stands in the address. Withdraw it: addresses are logged.")),
        "request.not_json": (400, gettext("The body is no JSON. Nothing was changed.")),
        "http.400": (400, gettext("The call could not be read. Nothing was changed.")),
        "auth.key_invalid": (401, gettext("No key, or one that is unknown here, withdrawn or over.")),
        "auth.key_of_other_world": (401, gettext("A test key at a live community, or the other way round.")),
        "auth.scope_missing": (403, gettext("The key lacks the permission in “scope”. Make one that has it.")),
        "http.404": (404, gettext("There is nothing here for this key.")),
        "not_found": (404, gettext("There is nothing here for this key.")),
        "member.unknown": (404, gettext("No member has this card, phone, e-mail or id.")),
        "cursor.unknown": (404, gettext("Take the cursor from “next” of the page before, unchanged.")),
        "http.405": (405, gettext("The address exists, but not for this method; see Allow.")),
        "conflict": (409, gettext("It was changed by somebody else in the meantime. Read it again.")),
        "member.suspended": (409, gettext("The member is blocked; “detail” says what the till may tell them.")),
        "refund.undo_refused": (409, gettext("The sale cannot be undone any more. Refund it.")),
        "txn.already_reversed": (409, gettext("It was taken back before.")),
        "txn.idempotency_mismatch": (
            409,
            gettext("The key or external_id was used for another call; “fields” names what differs. Use a new one."),
        ),
        "http.413": (413, gettext("The body is too large. Nothing was changed.")),
        "request.media_type": (415, gettext("Send JSON with Content-Type: application/json.")),
        "request.invalid": (422, gettext("“errors” names each field that cannot be taken, and why.")),
        "purchase.invalid": (422, gettext("The sale contradicts itself; “detail” says where.")),
        "purchase.bonus_share_exceeded": (422, gettext("More bonus than this business takes for a bill of this size.")),
        "purchase.code_wrong": (422, gettext("The member’s code is wrong or over. Ask for a new one.")),
        "purchase.confirmation_required": (
            422,
            gettext("This business asks the member to agree to paying with bonus: send the code or the scanned card."),
        ),
        "purchase.lines_mismatch": (422, gettext("The lines do not add up to the amount.")),
        "purchase.location_unknown": (422, gettext("The business has no place of this name.")),
        "purchase.time_out_of_range": (422, gettext("The sale lies in the future or too far back.")),
        "refund.exceeds": (422, gettext("More than is left of this sale or line.")),
        "refund.invalid": (422, gettext("The refund names a line or quantity that the sale does not have.")),
        "refund.unclear": (422, gettext("Send either an amount or lines.")),
        "txn.insufficient_funds": (
            422,
            gettext("The member has less bonus than that; read the member to see how much."),
        ),
        "txn.invalid_amount": (422, gettext("An amount is a decimal string with at most the currency’s decimals.")),
        "txn.precision": (422, gettext("The amount has more decimals than its currency.")),
        "wallet.currency_mismatch": (422, gettext("The business sells in another currency.")),
        "wallet.currency_unknown": (422, gettext("There is no such currency here.")),
        "wallet.locked": (422, gettext("The member’s account is locked. Send them to the community.")),
        "http.429": (429, gettext("Too many calls. %(again)s", again=again)),
        "internal": (500, gettext("A defect of ours; tell us the request_id. Repeating with the same key is safe.")),
        "busy": (503, again),
        "unavailable": (503, again),
    }
