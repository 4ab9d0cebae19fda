"""Invitations in words (G16)."""

from typing import Any

from flask import g
from flask_babel import gettext

from portal.identity import labels
from portal.web.locale import current as locale
from portal.web.locale import first_locale


def state(name: str) -> str:
    """Where an invitation stands."""
    names = {
        "waiting": gettext("waiting"),
        "accepted": gettext("accepted"),
        "expired": gettext("ran out"),
        "withdrawn": gettext("withdrawn"),
    }
    return names.get(name, name)


TONES = {"waiting": "warning", "accepted": "success", "expired": "", "withdrawn": ""}


def gives(row: Any) -> str:
    """What it gives: a membership, a way to sign in, a role and where."""
    if row.kind == "member":
        return gettext("To sign in") if row.member_id and row.state != "accepted" else gettext("Membership")
    if row.kind == "owner":
        return gettext("To answer for %(name)s", name=g.tenant.name)
    own = row.own_role.in_(locale(), first_locale()) if row.own_role else ""
    parts = [own or labels.role(row.role), row.business, row.place]
    return ", ".join(part for part in parts if part)
