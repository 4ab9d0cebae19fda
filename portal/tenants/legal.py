"""Legal pages of a tenant: terms, privacy, imprint; published in versions that are never changed again.

`tenants.settings["legal"]` says which version of each page holds (`{page: {"version": n}}`), so that the footer and the
question for consent cost no query. A newer version of the terms is asked of every member (portal.identity.consents).
"""

from typing import Any
from uuid import UUID

import nh3
from flask import g
from flask_babel import gettext
from markdown_it import MarkdownIt
from markupsafe import Markup
from sqlalchemy import exists, func, select

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound
from portal.tenants import change
from portal.tenants.models import LegalText
from portal.web.forms import clean
from portal.web.locale import current as locale

PAGES = ("terms", "privacy", "imprint")
LONGEST = 60_000  # characters of one text
TAGS = {
    *(
        "p",
        "br",
        "hr",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "strong",
        "em",
        "code",
        "pre",
        "blockquote",
        "a",
    ),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def page_name(page: str) -> str:
    """A page's name in the language being spoken."""
    return {"terms": gettext("Terms"), "privacy": gettext("Privacy"), "imprint": gettext("Imprint")}[page]


def to_html(body: str) -> Markup:
    """Markdown as safe HTML: no raw HTML, no pictures, links only to web, mail and telephone; the page keeps its own h1."""
    tokens = _markdown.parse(body)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    raw = _markdown.renderer.render(tokens, _markdown.options, {})
    clean = nh3.clean(
        raw,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener nofollow",
    )
    return Markup(clean)  # noqa: S704  what nh3 left


def plain(typed: str) -> str:
    """A long text as it is stored: NFC, one kind of line end; what is too long stays so, to be refused."""
    return clean(typed, lines=True, longest=LONGEST + 1) or ""


def current_version(page: str) -> int:
    """The version that holds; 0 where none was published here."""
    legal: Any = g.tenant.settings.get("legal") or {}
    return int((legal.get(page) or {}).get("version", 0))


def links() -> list[str]:
    """The pages that the acting tenant has published, for a footer."""
    return [page for page in PAGES if g.get("tenant") and current_version(page)]


def text_of(page: str, version: int = 0) -> LegalText:
    """As `found`. Raises `NotFound`."""
    text = found(page, version)
    if text is None:
        raise NotFound
    return text


def found(page: str, version: int = 0) -> LegalText | None:
    """The text in the reader's language, else in the tenant's first one, else in any."""
    wanted = select(LegalText).where(LegalText.page == page, LegalText.version == (version or current_version(page)))
    texts = {row.locale: row for row in db.session.scalars(wanted.order_by(LegalText.locale))}
    return texts.get(locale()) or texts.get(g.tenant.default_locale) or next(iter(texts.values()), None)


def readable() -> set[tuple[str, int]]:
    """Every page and version that was published here."""
    return {(row.page, row.version) for row in db.session.execute(select(LegalText.page, LegalText.version))}


def texts_of(page: str) -> dict[str, LegalText]:
    """The texts that hold, by language."""
    wanted = select(LegalText).where(LegalText.page == page, LegalText.version == current_version(page))
    return {row.locale: row for row in db.session.scalars(wanted)}


def versions(page: str) -> list[Any]:
    """`(version, locales, published_at, name)` of every version, the newest first."""
    from portal.identity.models import User

    rows = (
        select(
            LegalText.version,
            func.array_agg(LegalText.locale).label("locales"),
            func.min(LegalText.published_at).label("published_at"),
            func.min(User.name).label("name"),
        )
        .outerjoin(User, (User.tenant_id == LegalText.tenant_id) & (User.id == LegalText.published_by))
        .where(LegalText.page == page)
        .group_by(LegalText.version)
        .order_by(LegalText.version.desc())
    )
    return list(db.session.execute(rows))


@command("legal.publish")
def publish(page: str, texts: dict[str, tuple[str, str]]) -> int:
    """Publish `{language: (title, body)}` as the next version, which is returned; what holds already stays as it is.

    Whoever was a member before the first text was there is asked for it: it is version 2 then, since joining is taken
    for consent to version 1. The caller drops `hosts`' memory after the commit.
    """
    from portal.identity.models import User

    actor: UUID | None = g.get("actor_id")
    settings = change.locked_settings()
    legal = settings.get("legal") or {}
    before = int((legal.get(page) or {}).get("version", 0))
    held = select(LegalText.locale, LegalText.title, LegalText.body).where(
        LegalText.page == page, LegalText.version == before
    )
    if {row.locale: (row.title, row.body) for row in db.session.execute(held)} == texts:
        journal().unchanged()
        return before
    others = db.session.scalar(select(exists().where(User.id != actor))) if not before else False
    version = before + 1 + bool(others)
    for code, (title, body) in texts.items():
        db.session.add(
            LegalText(
                page=page,
                locale=code,
                version=version,
                title=title,
                body=body,
                published_at=clock.now(),
                published_by=actor,
            )
        )
    change.put_setting("legal", {**legal, page: {"version": version}})
    return version
