"""What members agreed to, which version of it, and when they took it back."""

from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, update

from portal.extensions import db
from portal.identity import sessions
from portal.identity.models import Consent
from portal.kernel.commands import command, journal
from portal.web.locale import current as locale

TERMS, PRIVACY, MARKETING = "terms", "privacy", "marketing"
FIRST = 1


def version(purpose: str) -> int:
    """The version of a text that holds now: `tenants.settings["legal"][purpose]["version"]`, 1 until another is published."""
    settings: Any = g.tenant.settings or {}
    legal: Any = settings.get("legal") or {}
    page: Any = legal.get(purpose) or {}
    try:
        return int(page.get("version", FIRST))
    except (TypeError, ValueError, AttributeError):
        return FIRST


def agreed(member_id: UUID, purpose: str) -> int:
    """The newest version that the member agreed to and did not take back; 0 when there is none."""
    newest = select(Consent.version).where(
        Consent.member_id == member_id, Consent.purpose == purpose, Consent.withdrawn_at.is_(None)
    )
    return db.session.scalar(newest.order_by(Consent.version.desc()).limit(1)) or 0


def outdated(member_id: UUID) -> bool:
    """Whether the tenant published terms that this member has not agreed to yet. Nobody is asked for the first ones
    again: they are agreed to by joining.
    """
    now = version(TERMS)
    return now > FIRST and agreed(member_id, TERMS) < now


@command("consent.give")
def give(member_id: UUID, *purposes: str) -> None:
    """The member agrees to the versions that hold now; what was agreed to already stays as it is."""
    changed = False
    for purpose in purposes:
        now = version(purpose)
        if agreed(member_id, purpose) >= now:
            continue
        changed = True
        db.session.add(
            Consent(member_id=member_id, purpose=purpose, version=now, locale=locale(), agreed_at=sessions.real_now())
        )
    journal().about("member", member_id)
    if not changed:
        journal().unchanged()


@command("consent.withdraw")
def withdraw(member_id: UUID, purpose: str) -> None:
    """The member takes a consent back; the row says when."""
    taken = db.session.execute(
        update(Consent)
        .where(Consent.member_id == member_id, Consent.purpose == purpose, Consent.withdrawn_at.is_(None))
        .values(withdrawn_at=sessions.real_now())
        .returning(Consent.id)
    ).all()
    journal().about("member", member_id)
    if not taken:
        journal().unchanged()


def history(member_id: UUID) -> list[Consent]:
    """Everything that a member agreed to, the newest first."""
    rows = select(Consent).where(Consent.member_id == member_id).order_by(Consent.agreed_at.desc(), Consent.id.desc())
    return list(db.session.scalars(rows))


def purpose_name(purpose: str) -> str:
    """What was agreed to, in words."""
    names = {
        TERMS: gettext("Terms of the programme"),
        PRIVACY: gettext("Handling of personal data"),
        MARKETING: gettext("News and offers"),
    }
    return names.get(purpose, purpose)


def asked_of_newcomers() -> tuple[str, ...]:
    """What joining takes: the terms."""
    return (TERMS, PRIVACY)
