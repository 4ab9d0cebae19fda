"""Operators: made by the installation's owner, signed in by themselves."""

import hashlib
from typing import Any
from uuid import UUID

from flask import request
from flask_babel import gettext
from psycopg.sql import SQL, Identifier

from portal.identity import contacts, passwords
from portal.identity.access import WrongCredentials
from portal.identity.factors import PASSKEY, PASSWORD, RECOVERY
from portal.identity.failures import DOOR, SECOND
from portal.kernel.errors import NotFound
from portal.kernel.model import new_id
from portal.kernel.primaries import connect
from portal.platform import audit, factors, passkeys, sessions, tries
from portal.platform.database import connected
from portal.web.client import client_address

FAILED = "operator.sign_in_failed"
FACTORS = (
    "operator_factors",
    "operator_passkeys",
    "operator_recovery_codes",
    "operator_challenges",
    "operator_sessions",
)


def create_operator(email: str, name: str, password: str) -> UUID:
    """An operator, or a new name and password for one, whose sessions end (S2); runs as portal_owner.

    Raises `WeakPassword`, `InvalidEmail`, `InvalidName`.
    """
    mail, clean = contacts.clean_email(email), contacts.clean_name(name)
    passwords.check_strength(password, mail, clean)
    with connect("portal_owner") as connection:
        row = connection.execute(
            "INSERT INTO operators (id, email, name, password_hash) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (email) DO UPDATE SET name = excluded.name, password_hash = excluded.password_hash"
            " RETURNING id",
            (new_id(), mail, clean, passwords.hashed(password)),
        ).fetchone()
        assert row is not None  # noqa: S101  RETURNING of one row
        operator_id: UUID = row[0]
        connection.execute("DELETE FROM operator_sessions WHERE operator_id = %s", (operator_id,))
        audit.write(connection, "operator.create", None, operator=str(operator_id))
    return operator_id


def reset_operator(email: str, password: str) -> UUID:
    """A new password for an operator who lost theirs, or their factors: every factor, recovery code and session goes.

    Runs as portal_owner, for whoever may use the installation's command line. Raises `NotFound`, `WeakPassword`.
    """
    with connect("portal_owner") as connection:
        row = connection.execute(
            "SELECT id, email, name FROM operators WHERE email = %s FOR UPDATE", (contacts.clean_email(email),)
        ).fetchone()
        if row is None:
            raise NotFound(gettext("There is no operator with this e-mail."))
        operator_id: UUID = row[0]
        passwords.check_strength(password, *row[1:])
        connection.execute(
            "UPDATE operators SET password_hash = %s WHERE id = %s", (passwords.hashed(password), operator_id)
        )
        for table in FACTORS:
            connection.execute(SQL("DELETE FROM {} WHERE operator_id = %s").format(Identifier(table)), (operator_id,))
        audit.write(connection, "operator.reset", None, operator=str(operator_id))
    return operator_id


def is_operator(email: str) -> bool:
    """Whether somebody with this e-mail runs the installation. Raises `InvalidEmail`."""
    with connected() as connection:
        mail = contacts.clean_email(email)
        return connection.execute("SELECT 1 FROM operators WHERE email = %s", (mail,)).fetchone() is not None


def anybody() -> bool:
    """Whether there is an operator at all."""
    with connected() as connection:
        return connection.execute("SELECT 1 FROM operators LIMIT 1").fetchone() is not None


def sign_in(email: str, password: str) -> str:
    """Check the password and open a session, a half one while a second factor is due (S4); returns its cookie.

    Raises `WrongCredentials` or `TooManyTries`.
    """
    operator = _operator(email)
    account = str(operator.id) if operator else email.strip()
    tried = tries.attempt(account, client_address(), DOOR)
    if not passwords.matches(operator.password_hash if operator else None, password):
        _note_failure(account)
        raise WrongCredentials(gettext("E-mail or password is wrong."))
    tried.take_back()
    audit.note("operator.sign_in", operator.id, browser=request.user_agent.string[:200])
    return sessions.open_session(operator.id, half=bool(factors.ways(operator.id)) or factors.required())


def prove(operator_id: UUID, way: str, typed: str, *, purpose: str = "") -> None:
    """Show a factor, `typed` being a passkey's answer to the question for `purpose` where the way is a passkey.

    Each try is counted before it is looked at, a password with those of the door, the rest by the second factor's rules;
    a recovery code's 80 bits are guessed by nobody, so only the address is held back there (S5). Raises `factors.WrongCode`, `TooManyTries`,
    `signing.PasskeyRefused`.
    """
    if way == PASSKEY:
        return passkeys.prove(purpose, operator_id, typed)
    address = client_address()
    account = {PASSWORD: str(operator_id), RECOVERY: f"{operator_id}|{address}|{way}"}.get(way, f"{operator_id}|{way}")
    tried = tries.attempt(account, address, DOOR if way == PASSWORD else SECOND)
    try:
        factors.prove(operator_id, way, typed)
    except factors.WrongCode:
        _note_failure(account)
        raise
    tried.undo()
    return None


def sign_out(operator_id: UUID, token: str) -> None:
    """End the session."""
    sessions.close_session(token)
    audit.note("operator.sign_out", operator_id)


def _operator(email: str) -> Any:
    try:
        mail = contacts.clean_email(email)
    except contacts.InvalidEmail:
        return None
    with connected() as connection:
        return connection.execute("SELECT id, password_hash FROM operators WHERE email = %s", (mail,)).fetchone()


def _note_failure(account: str) -> None:
    audit.note(FAILED, None, account=_key(account), address=_key(client_address()))


def _key(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()[:32]
