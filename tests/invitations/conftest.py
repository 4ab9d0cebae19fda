"""Inviting people the way the pages do, and reading the link out of the mail that was really sent."""

import re

import pytest
from flask import g
from sqlalchemy import select, text

from portal.invitations import service
from portal.invitations.models import Invitation
from tests.cast import CIRCLE
from tests.identity.test_roles import open_for  # noqa: F401  a fixture

NEW = "nine patient harbours"
NEWCOMER = "nora@new.example"


def accept(token, **more):
    return service.accept(token, user_agent="pytest", ip="127.0.0.1", **more)


@pytest.fixture
def links(deliver, sink):
    """The tokens of the links that were mailed to an address, the oldest first."""

    def links(address):
        deliver()
        bodies = [mail.get_body(("plain",)).get_content() for mail in sink.at(address)]
        return [found[1] for body in bodies if (found := re.search(r"/invite/([\w-]+)", body))]

    return links


@pytest.fixture
def invited(acting, links):
    """Invite somebody as a person; the token of the mail."""

    def invited(guest, *, by):
        with acting(CIRCLE, by):
            service.invite(guest)
        return links(guest.contact)[-1]

    return invited


@pytest.fixture
def only(seen_by):
    """The id of the one invitation there is."""

    def only():
        with seen_by(CIRCLE) as session:
            return session.scalars(select(Invitation.id)).one()

    return only


@pytest.fixture
def age(seen_by):
    """Let time go by for every invitation."""

    def age(by):
        with seen_by(CIRCLE) as session:
            g.seeding = True
            moved = ", ".join(f"{name} = {name} - :by" for name in ("created_at", "asked_at", "expires_at"))
            session.execute(text(f"UPDATE invitations SET {moved}"), {"by": by})
            session.commit()
            g.seeding = False

    return age
