"""Why a line is what it is, and why a balance: steps for `ui.trace`, from what the ledger keeps (LOY-1, LOY-7)."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from flask import g, url_for
from flask_babel import format_date, gettext, ngettext
from markupsafe import Markup

from portal.kernel import money
from portal.wallets.labels import signed, type_name
from portal.wallets.purse import LOCKED
from portal.wallets.queries import Balance
from portal.web.locale import current as locale

SHOWN = 30  # lots in a slip; the rest is summed up
Step = dict[str, Any]


def formula(entry: Any) -> str:
    """The formula of an accrual, e.g. `floor(1,240.00 × 5%) = 62.00`; empty for other movements (LOY-7).

    A purchase's spending carries the same figures in its details: they are not about it.
    """
    earn = entry.details.get("earn")
    if entry.type != "accrual" or not earn:
        return ""
    from portal.loyalty.labels import rate  # the words of a rate are loyalty's, which stands above the wallet

    return gettext(
        "floor(%(base)s × %(rate)s) = %(bonus)s",
        base=_plain(earn["base"], earn["currency"]),
        rate=rate(Fraction(*earn["rate"])),
        bonus=_plain(earn["bonus"], earn["currency"]),
    )


def of_entry(entry: Any, drawn: Sequence[Any]) -> list[Step]:
    """How a movement came about, the lots it drew on or gave back to in their order, the amount at the end."""
    steps: list[Step] = []
    if said := formula(entry):
        steps.append({"label": gettext("How it was reckoned"), "value": said})
    if reason := entry.details.get("reason"):
        steps.append({"label": gettext("Reason"), "value": "", "note": reason})
    steps += [_lot(lot, entry.currency) for lot in drawn[:SHOWN]]
    if more := drawn[SHOWN:]:
        rest = sum(lot.amount for lot in more)
        label = ngettext("%(num)s more purchase", "%(num)s more purchases", len(more))
        steps.append({"label": label, "value": signed(-rest, entry.currency)})
    steps.append({"label": type_name(entry.type), "value": signed(entry.amount, entry.currency), "kind": "result"})
    return steps


def became(entry: Any, made: Sequence[Any], uses: Sequence[Any]) -> list[Step]:
    """What became of the bonus that a movement brought: each use, then what is left and until when."""
    steps = [
        {
            "label": source(use),
            "value": signed(-use.amount, entry.currency),
            "note": day_and_receipt(use),
        }
        for use in uses
    ]
    if made:
        left = sum(lot.remaining for lot in made)
        until = next((lot.expires_at for lot in made if lot.expires_at), None)
        steps.append(
            {
                "label": gettext("Left of it"),
                "value": _plain(left, entry.currency),
                "note": burns(until) if left else "",
                "kind": "result",
            }
        )
    return steps


def of_balance(own: Balance, lots: Sequence[Any], now: datetime) -> list[Step]:
    """The lots that make up what can be spent, in the order in which they will be spent (LOY-3)."""
    steps = [_part(lot, own, now) for lot in lots[:SHOWN]]
    if more := lots[SHOWN:]:
        label = ngettext("%(num)s more part", "%(num)s more parts", len(more))
        steps.append({"label": label, "value": _plain(sum(lot.remaining for lot in more), own.currency)})
    if held := sum(lot.held for lot in lots):
        steps.append(
            {"label": gettext("Held for something that is not settled yet"), "value": signed(-held, own.currency)}
        )
    waits = own.type == LOCKED
    label = gettext("Waiting together") if waits else gettext("Can be spent now")
    total = own.posted if waits else own.spendable
    return [*steps, {"label": label, "value": _plain(total, own.currency), "kind": "result"}]


def source(far: Any) -> str:
    """The posting at the other end, as a link to its own line."""
    words = gettext("%(what)s, %(where)s", what=type_name(far.type), where=far.business or g.tenant.name)
    if not far.entry_id:
        return words
    address = url_for("wallets.entry", entry_id=far.entry_id)
    return Markup('<a class="link" href="{}">{}</a>').format(address, words)


def day_and_receipt(far: Any) -> str:
    """When it was, and under which number its receipt is."""
    day = format_date(far.occurred_at, "long")
    if not far.receipt_number:
        return day
    return gettext("%(day)s, receipt %(number)s", day=day, number=far.receipt_number)


def burns(moment: datetime | None) -> str:
    """Until when bonus can be spent."""
    return gettext("burns on %(day)s", day=format_date(moment, "long")) if moment else gettext("never burns")


def _lot(lot: Any, code: str) -> Step:
    note = [day_and_receipt(lot)]
    if lot.expires_at:
        note.append(burns(lot.expires_at))
    return {"label": source(lot), "value": signed(-lot.amount, code), "note": "; ".join(note)}


def _part(lot: Any, own: Balance, now: datetime) -> Step:
    note = [gettext("of %(sum)s", sum=_plain(lot.amount, own.currency))] if lot.remaining != lot.amount else []
    waits, burnt = lot.activates_at > now, lot.expires_at is not None and lot.expires_at <= now
    if waits:
        note.append(gettext("can be spent from %(day)s", day=format_date(lot.activates_at, "long")))
    note.append(burns(lot.expires_at))
    label = gettext("%(what)s, %(day)s", what=type_name(lot.type), day=format_date(lot.created_at, "long"))
    off = burnt or (waits and own.type != LOCKED)
    return {
        "label": label,
        "value": _plain(lot.remaining, own.currency),
        "note": "; ".join(note),
        "kind": "off" if off else "",
    }


def _plain(minor: int, code: str) -> str:
    return money.format_amount(minor, code, locale(), symbol=False)
