"""Operators: made by the installation's owner, signed in by themselves."""

import hashlib
from typing import Any
from uuid import UUID

from flask import request
from flask_babel import gettext

from portal.identity import contacts, passwords
from portal.identity.access import WrongCredentials
from portal.identity.factors import PASSKEY
from portal.identity.failures import ALLOWED, WINDOW, TooManyTries
from portal.kernel.model import new_id
from portal.kernel.primaries import connect
from portal.platform import audit, factors, passkeys, sessions
from portal.platform.database import connected
from portal.web.client import client_address

FAILED = "operator.sign_in_failed"
RECENT = 1000  # newest lines looked at: more than two people's tries can make in five minutes


def create_operator(email: str, name: str, password: str) -> UUID:
    """An operator, or a new name and password for one; runs as portal_owner. Raises `WeakPassword`, `InvalidEmail`."""
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
    return operator_id


def sign_in(email: str, password: str) -> str:
    """Check the password and open a session, a half one while a second factor is due (S4); returns its cookie.

    Raises `WrongCredentials` or `TooManyTries`.
    """
    operator = _operator(email)
    account = _key(str(operator.id) if operator else email)
    _refuse_too_many(account)
    if not passwords.matches(operator.password_hash if operator else None, password):
        audit.note(FAILED, None, account=account, address=_key(client_address()))
        raise WrongCredentials(gettext("E-mail or password is wrong."))
    audit.note("operator.sign_in", operator.id, browser=request.user_agent.string[:200])
    return sessions.open_session(operator.id, half=bool(factors.ways(operator.id)) or factors.required())


def prove(operator_id: UUID, way: str, typed: str, *, purpose: str = "") -> None:
    """Show a factor, `typed` being a passkey's answer to the question for `purpose` where the way is a passkey.

    Each wrong try of what can be guessed is counted as at the door (S5). Raises `factors.WrongCode`, `TooManyTries`,
    `signing.PasskeyRefused`.
    """
    if way == PASSKEY:
        return passkeys.prove(purpose, operator_id, typed)
    account = _key(f"{operator_id}|{way}")
    _refuse_too_many(account)
    try:
        factors.prove(operator_id, way, typed)
    except factors.WrongCode:
        audit.note(FAILED, None, account=account, address=_key(client_address()))
        raise
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


def _refuse_too_many(account: str) -> None:
    with connected() as connection:
        row = connection.execute(
            "SELECT ceil(extract(epoch FROM max(at) + %(window)s - clock_timestamp()))::int AS wait FROM ("
            " SELECT detail->>'account' AS account, recorded_at AS at,"
            "        row_number() OVER (PARTITION BY detail->>'account' ORDER BY seq DESC) AS n_account,"
            "        row_number() OVER (PARTITION BY detail->>'address' ORDER BY seq DESC) AS n_address,"
            "        detail->>'address' AS address"
            "   FROM (SELECT * FROM platform_audit ORDER BY seq DESC LIMIT %(recent)s) newest"
            "  WHERE action = %(failed)s AND recorded_at > clock_timestamp() - %(window)s) tries"
            " WHERE (account = %(account)s AND n_account = %(allowed)s) OR (address = %(address)s AND n_address = %(allowed)s)",
            {
                "window": WINDOW,
                "recent": RECENT,
                "failed": FAILED,
                "account": account,
                "address": _key(client_address()),
                "allowed": ALLOWED,
            },
        ).fetchone()
    if row is not None and row.wait is not None:
        raise TooManyTries(int(row.wait))


def _key(value: str) -> str:
    return hashlib.sha256(value.casefold().encode()).hexdigest()[:32]
