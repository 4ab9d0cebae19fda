"""The "Why?" beside each figure: what it counts, and the figures it is made of (ANA-6)."""

from typing import Any

from flask_babel import gettext

from portal.analytics.today import Today
from portal.kernel.money import format_amount, format_number
from portal.web.locale import current
from portal.web.template import percent

Definition = dict[str, Any]


def of_business(figure: str, now: Today, costs: Any, currency: str) -> Definition | None:
    """A figure of the partner's desk; None for an unknown one."""

    def bonus(value: int) -> str:
        return format_amount(value, currency, current(), symbol=False)

    rest = costs.issued - costs.payable
    return _today(figure, now, currency) or {
        "new": {
            "title": gettext("New today"),
            "shown": _number(now.new_members),
            "text": gettext("Members whose first purchase with you is of today."),
            "steps": [
                _step(gettext("Members who bought today"), _number(now.members)),
                _step(gettext("Had bought here before"), _number(now.members - now.new_members)),
                _result(gettext("New"), _number(now.new_members)),
            ],
        },
        "cost": {
            "title": gettext("What your bonus costs"),
            "shown": bonus(costs.issued),
            "text": gettext(
                "Bonus that your purchases gave to members is yours to cover, whoever it is spent with. Bills that"
                " members paid with bonus at your till are owed to you by the circle. The books of the ledger say both."
            ),
            "steps": [
                _step(gettext("Bonus you gave, less what refunds took back"), bonus(costs.issued)),
                _step(gettext("Paid with bonus at your till"), format_amount(costs.payable, currency, current())),
                _result(gettext("Left between the two"), bonus(rest)),
            ],
        },
    }.get(figure)


def of_tenant(
    figure: str, now: Today, sums: Any, looked: Any, bought: dict[str, int], currency: str
) -> Definition | None:
    """A figure of the admin's dashboard; None for an unknown one."""

    def bonus(value: int) -> str:
        return format_amount(value, currency, current(), symbol=False)

    liability = sums.active + sums.waiting
    return _today(figure, now, currency) or {
        "members": {
            "title": gettext("Members"),
            "shown": _number(sums.members),
            "text": gettext("Everybody with an account here, merged and archived ones left out."),
            "steps": [
                _step(gettext("Joined in the last 30 days"), _number(sums.joined)),
                _step(gettext("Joined in the 30 days before"), _number(sums.joined_then)),
                _result(gettext("Members"), _number(sums.members)),
            ],
        },
        "active": {
            "title": gettext("Active today"),
            "shown": _number(bought.get("day", 0) + looked.day),
            "text": gettext(
                "Members who opened the portal or bought something since midnight, each counted once;"
                " in 7 and in 30 days the same."
            ),
            "steps": [
                _step(gettext("Bought today"), _number(bought.get("day", 0))),
                _step(gettext("Opened the portal and did not buy"), _number(looked.day)),
                _result(gettext("Active today"), _number(bought.get("day", 0) + looked.day)),
            ],
        },
        "liability": {
            "title": gettext("Bonus owed to members"),
            "shown": bonus(liability),
            "text": gettext(
                "What members could still spend, now or when it becomes active; one bonus is one unit of money."
            ),
            "steps": [
                _step(gettext("Active"), bonus(sums.active)),
                _step(gettext("Waiting to become active"), bonus(sums.waiting)),
                _result(gettext("Owed"), bonus(liability)),
            ],
        },
        "used": {
            "title": gettext("Bonus used"),
            "shown": percent(sums.spent / sums.issued if sums.issued else 0, 1),
            "text": gettext("Of all bonus ever given, the share that was spent; the rest is owed or burnt."),
            "steps": [
                _step(gettext("Given, less what refunds took back"), bonus(sums.issued)),
                _step(gettext("Spent"), bonus(sums.spent)),
                _step(gettext("Burnt unused"), bonus(sums.burnt)),
                _result(gettext("Spent of given"), percent(sums.spent / sums.issued if sums.issued else 0, 1)),
            ],
        },
    }.get(figure)


def _today(figure: str, now: Today, currency: str) -> Definition | None:
    def money(value: int) -> str:
        return format_amount(value, currency, current())

    def bonus(value: int) -> str:
        return format_amount(value, currency, current(), symbol=False)

    return {
        "sales": {
            "title": gettext("Sales today"),
            "shown": money(now.sales),
            "text": gettext("Bills of members since midnight, after refunds, paid with bonus or not."),
            "steps": [
                _step(gettext("Bills"), money(now.billed)),
                _step(gettext("Refunded"), money(-now.refunded)),
                _result(
                    gettext("Sales"),
                    money(now.sales),
                    gettext("A week ago at this hour: %(sum)s", sum=money(now.sales_then)),
                ),
            ],
        },
        "purchases": {
            "title": gettext("Purchases today"),
            "shown": _number(now.purchases),
            "text": gettext("Purchases recorded for members since midnight, refunded ones included."),
            "steps": [
                _step(gettext("By so many members"), _number(now.members)),
                _result(
                    gettext("Purchases"),
                    _number(now.purchases),
                    gettext("A week ago at this hour: %(sum)s", sum=_number(now.purchases_then)),
                ),
            ],
        },
        "given": {
            "title": gettext("Bonus given today"),
            "shown": bonus(now.given),
            "text": gettext("Bonus that today’s purchases brought, less what refunds took back."),
            "steps": [
                _step(gettext("Brought by purchases"), bonus(now.accrued)),
                _step(gettext("Taken back"), bonus(-now.taken_back)),
                _result(gettext("Given"), bonus(now.given)),
            ],
        },
        "spent": {
            "title": gettext("Paid with bonus today"),
            "shown": bonus(now.spent),
            "text": gettext("The part of today’s bills that members paid with bonus, less what refunds gave back."),
            "steps": [
                _step(gettext("Paid with bonus"), bonus(now.redeemed)),
                _step(gettext("Given back"), bonus(-now.given_back)),
                _result(gettext("Spent"), bonus(now.spent)),
            ],
        },
    }.get(figure)


def _number(value: int) -> str:
    return format_number(value, current())


def _step(label: str, value: str) -> dict[str, str]:
    return {"label": label, "value": value}


def _result(label: str, value: str, note: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "kind": "result"}
