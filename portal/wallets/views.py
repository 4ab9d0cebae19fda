"""The member's wallet: accounts, statement, and why each line is what it is."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from flask import abort, request
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.extensions import db
from portal.kernel.authz import LOGIN, PortalBlueprint
from portal.kernel.money import decimal_string
from portal.partners.queries import open_businesses
from portal.wallets import queries, statement
from portal.wallets.labels import account_name, type_name
from portal.wallets.models import LedgerEntry
from portal.web import csv
from portal.web.fragments import render
from portal.web.paging import Sort, filters, page, when

blueprint = PortalBlueprint("wallets", __name__, room="member")
FILTERS = ("account", "direction", "type", "business", "period")
MOST = 100_000


@blueprint.route("/me/wallet", permission=LOGIN, endpoint="statement")
def statement_page() -> Response:
    """Accounts, what burns when, and the statement."""
    chosen = filters(*FILTERS)
    selected = statement.entries(current_user.id, chosen)
    if request.args.get("format") == "csv":
        return _download(selected)
    accounts = queries.balances(current_user.id)
    rows = page(
        selected,
        sorts={"date": Sort(LedgerEntry.occurred_at, when)},
        default="-date",
        key=LedgerEntry.id,
        size=20,
        filters=chosen,
    )
    main = next((a for a in accounts if a.type == "bonus"), None)
    return render(
        "wallets/show.html",
        accounts=accounts,
        page=rows,
        expiries=queries.expiries(main.account_id) if main else [],
        main=main,
        type_name=type_name,
        account_name=account_name,
        businesses=open_businesses(),
    )


def _download(selected: Any) -> Response:
    header = ("date", "kind", "business", "amount", "balance", "currency", "account")
    found = db.session.execute(
        selected.order_by(LedgerEntry.occurred_at.desc(), LedgerEntry.seq.desc()).limit(MOST)
    ).all()

    def lines() -> Iterator[tuple[object, ...]]:
        for r in found:
            balance = "" if r.balance_after is None else decimal_string(r.balance_after, r.currency)
            yield (
                r.occurred_at.isoformat(),
                r.type,
                r.business,
                _signed(r.amount, r.currency),
                balance,
                r.currency,
                r.account_type,
            )

    return csv.download("statement.csv", header, lines())


def _signed(minor: int, code: str) -> str:
    return ("-" if minor < 0 else "") + decimal_string(abs(minor), code)


@blueprint.route("/me/wallet/entries/<uuid:entry_id>", permission=LOGIN)
def entry(entry_id: UUID) -> Response:
    """Why this line: the formula, and which purchase gave the bonus it used."""
    row = statement.entry(current_user.id, entry_id)
    if row is None:
        abort(404)
    return render(
        "wallets/entry.html",
        row=row,
        lots=statement.lots_touched(row.transaction_id),
        title=type_name(row.type),
        uses=statement.spent_from(row.transaction_id) if row.amount > 0 else [],
        type_name=type_name,
    )


@blueprint.route("/me/wallet/<uuid:account_id>/balance", permission=LOGIN)
def balance(account_id: UUID) -> Response:
    """Why this balance: the lots that make it up, in the order in which they will be spent (LOY-3)."""
    own = next((a for a in queries.balances(current_user.id) if a.account_id == account_id), None)
    if own is None:
        abort(404)
    title = gettext("Why this balance?")
    return render("wallets/balance.html", own=own, lots=queries.lots_of(account_id), title=title, type_name=type_name)
