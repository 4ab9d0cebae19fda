"""The member's wallet: accounts, what burns when, the statement, and why each line is what it is."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from flask import abort, request, url_for
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.identity import cards
from portal.identity import queries as members
from portal.kernel import clock
from portal.kernel.authz import LOGIN, PortalBlueprint
from portal.kernel.money import decimal_string
from portal.purchases.views.trace import steps as purchase_steps
from portal.wallets import burning, provenance, queries, statement, why
from portal.wallets.labels import account_name, parts, signed, type_name
from portal.wallets.lines import by_day, line
from portal.wallets.purse import LOCKED, Purse, purse
from portal.wallets.queries import Balance
from portal.web import csv
from portal.web.fragments import render
from portal.web.locale import zone
from portal.web.paging import cursor, cut, filters, when

wallets = PortalBlueprint("wallets", __name__, room="member")
FILTERS = ("direction", "type", "business", "period")
SIZE = 20
MOST = 100_000
SHEET = 1_000  # lines on paper: some thirty pages


@wallets.route("/me/wallet", permission=LOGIN, endpoint="statement")
def main_account() -> Response:
    """The account that pays at the tills: bonus in the tenant's currency."""
    own = purse(current_user.id)
    return _show(own, own.main)


@wallets.route("/me/wallet/<uuid:account_id>", permission=LOGIN)
def account(account_id: UUID) -> Response:
    """Another account of the same member."""
    own = purse(current_user.id)
    return _show(own, own.account(account_id) or abort(404))


def _show(own: Purse, shown: Balance | None) -> Response:
    if shown is None:
        return render("wallets/empty.html")
    chosen = filters(*FILTERS)
    if request.args.get("format") == "csv":
        return _download(shown, chosen)
    if request.args.get("format") == "paper":
        return _paper(own, shown, chosen)
    overview = statement.overview(shown.owner_id, shown.account_id)
    rows = cut(
        statement.lines(shown.owner_id, shown.account_id, chosen, limit=SIZE + 1, after=cursor(when, int)),
        total=statement.count(shown.owner_id, shown.account_id, chosen) if chosen else overview.entries,
        size=SIZE,
        sort="-date",
        filters=chosen,
    )
    days = burning.by_day(queries.expiries(shown.account_id), zone())
    return render(
        "wallets/show.html",
        own=own,
        shown=shown,
        waits=shown.type == LOCKED,
        page=rows,
        days_of_lines=by_day(rows.rows),
        overview=overview,
        kinds=[(kind, type_name(kind)) for kind in overview.types],
        days=days,
        calendar=burning.month(days, request.args.get("month", ""), clock.today(zone()), shown.currency),
        account_name=account_name,
        parts=parts,
    )


def _paper(own: Purse, shown: Balance, chosen: Mapping[str, str]) -> Response:
    """The statement as a sheet: the oldest first, with what was there before, both sums and what is there after."""
    rows = list(reversed(statement.lines(shown.owner_id, shown.account_id, chosen, limit=SHEET)))
    return render(
        "wallets/paper.html",
        member=members.member(current_user.id),
        shown=shown,
        lines=[(row.occurred_at, line(row)) for row in rows],
        whole=not set(chosen) - {"period"},
        before=rows[0].running - rows[0].amount if rows else shown.posted,
        received=sum(row.amount for row in rows if row.amount > 0),
        spent=sum(row.amount for row in rows if row.amount < 0),
        after=rows[-1].running if rows else shown.posted,
        cut=len(rows) == SHEET,
        back=url_for("wallets.statement")
        if shown is own.main
        else url_for("wallets.account", account_id=shown.account_id),
        account_name=account_name,
        shown_at=clock.now(),
        card=cards.shown,
    )


def _download(shown: Balance, chosen: Mapping[str, str]) -> Response:
    found = statement.lines(shown.owner_id, shown.account_id, chosen, limit=MOST)
    header = (
        gettext("Date"),
        gettext("Kind"),
        gettext("Partner"),
        gettext("Receipt"),
        gettext("Amount"),
        gettext("Balance"),
        gettext("Currency"),
        gettext("How it was reckoned"),
    )

    def lines() -> Iterator[tuple[object, ...]]:
        for row in found:
            yield (
                row.occurred_at.isoformat(),
                type_name(row.type),
                row.business,
                row.details.get("receipt_number"),
                decimal_string(row.amount, row.currency),
                decimal_string(row.running, row.currency),
                row.currency,
                why.formula(row) or row.details.get("reason"),
            )

    return csv.download("statement.csv", header, list(lines()))


@wallets.route("/me/wallet/entries/<uuid:entry_id>", permission=LOGIN)
def entry(entry_id: UUID) -> Response:
    """Why this line: the formula, which purchases gave the bonus it used, and what used the bonus it gave."""
    row = statement.entry(current_user.id, entry_id)
    if row is None:
        abort(404)
    earned = purchase_steps(row.details.get("earn", {})) if row.type == "accrual" else []
    brought = row.amount > 0
    return render(
        "wallets/entry.html",
        fragment="slip",
        row=row,
        figure=signed(row.amount, row.currency),
        steps=earned or why.of_entry(row, provenance.drawn(row)),
        became=why.became(row, provenance.made(row), provenance.uses(row)) if brought else [],
        balance=row.running,
        type_name=type_name,
    )


@wallets.route("/me/wallet/<uuid:account_id>/balance", permission=LOGIN)
def balance(account_id: UUID) -> Response:
    """Why this balance: the lots that make it up, in the order in which they will be spent (LOY-3)."""
    own = purse(current_user.id).account(account_id) or abort(404)
    steps = why.of_balance(own, queries.lots_of(account_id), clock.now())
    return render(
        "wallets/balance.html",
        fragment="slip",
        own=own,
        steps=steps,
        figure="".join(parts(own.posted if own.type == LOCKED else own.spendable, own.currency)),
        waits=own.type == LOCKED,
    )
