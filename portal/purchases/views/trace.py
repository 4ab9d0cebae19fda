"""The stored figures of a purchase as the steps of "Why?"."""

from datetime import datetime
from fractions import Fraction
from typing import Any

from flask_babel import format_date, gettext

from portal.kernel import money
from portal.kernel.model import I18n
from portal.loyalty.labels import rate as rate_text
from portal.web.locale import current as locale


def steps(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """`ui.trace`'s steps: the bill, what is left out, the rate, the result. Empty for a purchase without a trace."""
    if not trace:
        return []
    code = trace["currency"]

    def shown(minor: int) -> str:
        return money.format_amount(minor, code, locale())

    rate = rate_text(Fraction(*trace["rate"]))
    found = [{"label": gettext("Bill"), "value": shown(trace["amount"])}]
    if trace["paid_with_bonus"]:
        found.append(
            {
                "label": gettext("Paid with bonus"),
                "value": shown(-trace["paid_with_bonus"]),
                "note": gettext("Bonus earns no bonus."),
            }
        )
    if trace["no_earn"]:
        found.append({"label": gettext("Goods that earn nothing"), "value": shown(-trace["no_earn"])})
    found.append({"label": gettext("Counts"), "value": shown(trace["base"])})
    name = I18n(trace.get("tier_name") or {}).in_(locale())
    found.append({"label": gettext("Rate of %(tier)s", tier=name) if name else gettext("Rate"), "value": rate})
    found.append(
        {
            "label": gettext("Bonus"),
            "value": "+" + money.format_amount(trace["bonus"], code, locale(), symbol=False),
            "note": gettext(
                "%(base)s × %(rate)s, rounded down. %(expiry)s",
                base=shown(trace["base"]),
                rate=rate,
                expiry=_expiry(trace),
            ),
            "kind": "result",
        }
    )
    return found


def _expiry(trace: dict[str, Any]) -> str:
    if not trace.get("expires_at"):
        return gettext("It never burns.")
    return gettext("It burns on %(day)s.", day=format_date(datetime.fromisoformat(trace["expires_at"]), "long"))
