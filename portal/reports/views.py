"""Reports as pages and files: purchases of a period, of a business at its desk and of all in the circle's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from flask import abort, g, request, url_for
from flask_babel import gettext, ngettext
from flask_limiter import RateLimitExceeded
from werkzeug.wrappers import Response

from portal.extensions import limiter
from portal.identity.sessions import real_now
from portal.identity.stepup import fresh
from portal.kernel import clock
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.kernel.reads import written_down
from portal.partners.queries import named, of_slug
from portal.purchases.labels import source
from portal.purchases.queries import tills_of
from portal.reports import labels
from portal.reports.formats import FORMATS, sent
from portal.reports.purchases import MOST_ROWS, Asked, Snapshot, Sums, sums
from portal.web.errors import on_portal_error
from portal.web.fragments import render
from portal.web.paging import filters, query_text

reports_desk = PortalBlueprint("reports_desk", __name__, room="desk", url_prefix="/desk/<business>/reports")
reports_admin = PortalBlueprint("reports_admin", __name__, room="admin", url_prefix="/admin/reports")
P = Permission
FILTERS = ("category", "till", "source", "refunded")
FILES_AN_HOUR = "5 per hour"  # security.md 14; of one format and one desk, so that trying the formats is no misdeed
FILE = "/purchases.<any(csv, xlsx, json):kind>"


class WrongPeriod(PortalError):
    """The days of the address are no period."""

    code = "report.period"


class TooManyFiles(PortalError):
    """The hour's downloads are used up."""

    code, status = "report.too_many", 429


@reports_desk.route("/purchases", permission=P.PURCHASES_EXPORT)
def purchases() -> Response:
    """The purchases of a business in a period: the sums, and the rows as a file."""
    return _page("layouts/desk.html", tills=tills_of(g.business.id), shops=[])


@reports_admin.route("/purchases", permission=P.PURCHASES_EXPORT, endpoint="purchases")
def purchases_of_all() -> Response:
    """The same of every business of the circle, or of one."""
    return _page("layouts/admin.html", tills=[], shops=named())


def _limited(view: Callable[..., Any]) -> Any:
    key = lambda: f"{g.get('tenant_id')}|{g.get('actor_id')}|{request.path}"  # noqa: E731
    return limiter.limit(FILES_AN_HOUR, key_func=key, deduct_when=lambda answer: answer.status_code == 200)(view)  # noqa: PLR2004


@reports_desk.route(FILE, permission=P.PURCHASES_EXPORT)
@_limited
@fresh
def file(kind: str) -> Response:
    """The rows of a business; who took them is in the audit log (AUD-2)."""
    return _file(kind)


@reports_admin.route(FILE, permission=P.PURCHASES_EXPORT, endpoint="file")
@_limited
@fresh
def file_of_all(kind: str) -> Response:
    """The rows of the circle."""
    return _file(kind)


@reports_desk.errorhandler(RateLimitExceeded)
@reports_admin.errorhandler(RateLimitExceeded)
def _too_many(_: RateLimitExceeded) -> Any:
    limit = limiter.current_limit
    seconds = max(1, int(limit.reset_at - real_now().timestamp()) + 1) if limit else 60
    minutes = -(-seconds // 60)
    said = ngettext(
        "You have downloaded this file five times within an hour. The next one is possible in %(num)s minute.",
        "You have downloaded this file five times within an hour. The next one is possible in %(num)s minutes.",
        minutes,
    )
    return on_portal_error(TooManyFiles(said, retry_after=seconds))


def _page(layout: str, **choices: Any) -> Response:
    refusal, asked = "", Asked(g.tenant.timezone)
    found: list[Sums] = []
    categories: list[str] = []
    try:
        asked = _asked()
        found, categories = sums(asked)
    except WrongPeriod as wrong:
        refusal = wrong.message
    place = {"business": g.business.slug} if g.get("business") else {}
    return render(
        "reports/purchases.html",
        fragment="report",
        status=422 if refusal else 200,
        layout=layout,
        here=url_for(f"{request.blueprint}.purchases", **place),
        files={kind: url_for(f"{request.blueprint}.file", kind=kind, **place) for kind in FORMATS},
        refusal=refusal,
        asked=asked,
        period=_period(),
        presets=labels.presets(),
        chosen=filters("from", "to", "business", *FILTERS),
        q=query_text(),
        sums=found,
        count=sum(one.purchases for one in found),
        most=MOST_ROWS,
        categories=categories,
        sources=[(code, source(code)) for code in ("till", "api", "import", "demo")],
        **choices,
    )


def _file(kind: str) -> Response:
    asked = _asked()
    snapshot = Snapshot(asked)
    bom = bool(request.args.get("bom"))
    return sent(snapshot, kind, _name(asked), lambda: _taken(asked, kind, snapshot.count), bom=bom)


def _taken(asked: Asked, kind: str, count: int) -> None:
    """Who took which rows is written down before the first of them leaves (AUD-2)."""
    about = ("business", asked.business_id) if asked.business_id else ("tenant", g.tenant_id)
    narrowed = [f"{each['col']} {each['op']} {each['value']}" for each in asked.definition["filters"]]
    written_down("purchases.export", kind, f"{count} rows", *narrowed, about=about)


def _asked() -> Asked:
    """What the address asks for. Raises `WrongPeriod`; 404 for a shop that the reader's circle does not have."""
    shop = g.get("business")
    if shop is None and (slug := filters("business").get("business")):
        shop = of_slug(slug) or abort(404)
    first, last = _days()
    return replace(
        Asked(g.tenant.timezone),
        first=first,
        last=last,
        business_id=shop.id if shop else None,
        q=query_text(),
        filters=filters(*FILTERS),
    )


def _period() -> str:
    """The named period of the address; the days typed go before it, and this month is what is shown first."""
    if filters("from", "to"):
        return ""
    named = request.args.get("period", "")
    return named if named in dict(labels.presets()) else "month"


def _days() -> tuple[date | None, date | None]:
    given = filters("from", "to")
    if not given:
        return _preset(_period(), clock.today(g.tenant.timezone))
    first, last = _day(given.get("from")), _day(given.get("to"))
    if first and last and first > last:
        raise WrongPeriod(gettext("The first day comes after the last. Nothing was reckoned; change one of them."))
    return first, last


def _preset(name: str, today: date) -> tuple[date | None, date | None]:
    yesterday, begun = today - timedelta(days=1), today.replace(day=1)
    ended = begun - timedelta(days=1)
    periods: dict[str, tuple[date | None, date | None]] = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "last_month": (ended.replace(day=1), ended),
        "all": (None, None),
    }
    return periods.get(name, (begun, today))


def _day(text: str | None) -> date | None:
    """Raises `WrongPeriod`: a day that cannot be read must not make the period longer in silence."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1970 <= day.year <= 9000:  # noqa: PLR2004  what PostgreSQL and zones can hold
        raise WrongPeriod(gettext("“%(text)s” is no day. Choose one from the calendar.", text=text))
    return day


def _name(asked: Asked) -> str:
    shop = g.business.slug if g.get("business") else filters("business").get("business", "all")
    days = [day.isoformat() for day in (asked.first, asked.last) if day]
    return "-".join(["purchases", shop, *dict.fromkeys(days)])
