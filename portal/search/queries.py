"""Finding one's way by a word: pages of the room, members, businesses; each group only for those who may read it."""

from dataclasses import dataclass
from typing import Any

from flask import g, url_for
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import exists, or_, select

from portal.extensions import db
from portal.identity import cards, queries
from portal.identity.models import User
from portal.kernel.authz import Permission
from portal.partners.queries import businesses
from portal.purchases.models import Purchase
from portal.web import nav

MOST = 6  # of each group


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of the answer: where it leads, what it is, how to tell it from its namesake."""

    url: str
    icon: str
    title: str
    note: str = ""


def found(q: str) -> list[tuple[str, list[Hit]]]:
    """The groups that know the word, in the order of the room; nothing typed shows the rail's pages."""
    groups = [(gettext("Pages"), _pages(q))]
    if q:
        groups += [(gettext("Members"), _members(q)), (gettext("Businesses"), _businesses(q))]
    return [(name, hits) for name, hits in groups if hits]


def _pages(q: str) -> list[Hit]:
    wanted = q.casefold().split()
    links = [(link, group["name"]) for group in nav.rail(ops=False) for link in group["links"]]
    if wanted:
        links += [(link, group) for group, found in nav.deeper() for link in found]
    hits: dict[str, Hit] = {}
    for link, group in links:
        if all(word in f"{link.label} {group}".casefold() for word in wanted):
            hits.setdefault(link.url, Hit(link.url, link.icon, link.label, group))
    return list(hits.values())


def _members(q: str) -> list[Hit]:
    """On the admin's desk everybody, by their page; on a shop's desk those who bought there, by their purchases."""
    shop = g.get("business")
    if shop is not None:
        if not current_user.may(Permission.PURCHASES_READ, shop):
            return []
        own = User.__table__.alias("own")
        theirs = select(own.c.id).where(or_(own.c.id == User.id, own.c.merged_into == User.id)).correlate(User)
        here = exists().where(Purchase.member_id.in_(theirs), Purchase.business_id == shop.id)
        return [
            Hit(
                url_for("purchases_desk.purchases", business=shop.slug, q=row.card_number), "user", row.name, _card(row)
            )
            for row in _matching(q, here)
        ]
    if not current_user.may(Permission.MEMBERS_READ):
        return []
    return [
        Hit(url_for("identity_admin.member", member_id=row.id), "user", row.name, _card(row)) for row in _matching(q)
    ]


def _matching(q: str, *conditions: Any) -> list[Any]:
    statement = queries.matching(select(User.id, User.name, User.card_number), q)
    if statement is None:
        return []
    ordered = statement.where(*queries.listed(), *conditions).order_by(User.search_text, User.id)
    return list(db.session.execute(ordered.limit(MOST)))


def _card(row: Any) -> str:
    return cards.shown(row.card_number)


def _businesses(q: str) -> list[Hit]:
    if g.get("business") is not None:
        own = [
            post
            for post in current_user.staff
            if q.casefold() in post.business.casefold() and Permission.DESK_READ in post.permissions
        ]
        return [
            Hit(url_for("analytics_desk.dashboard", business=post.slug), "building-store", post.business)
            for post in own[:MOST]
        ]
    if not current_user.may(Permission.BUSINESSES_READ):
        return []
    rows = db.session.execute(businesses(q).order_by("name").limit(MOST))
    return [
        Hit(url_for("partners_admin.business", business_id=row.id), "building-store", row.name, row.category)
        for row in rows
    ]
