"""An operator's second factors: passkeys and an authenticator app, with ten recovery codes (security.md 7, S4, S5).

The codes, their steps and their spelling are those of people (portal/identity/factors.py); only where they are kept
differs, since an operator belongs to no tenant.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pyotp
from flask import current_app, request
from flask_babel import gettext

from portal.identity import passwords
from portal.identity.factors import (
    APP,
    PASSKEY,
    PASSWORD,
    RECOVERY,
    SECRET_BASE32,
    Setup,
    WrongCode,
    bare,
    made_codes,
    step_of,
)
from portal.kernel import vault
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.turns import PLAIN_LOCK
from portal.platform import audit, passkeys
from portal.platform.database import connected

TABLE = "operator_factors"


class StillRequired(PortalError):
    """The installation wants a second factor of every operator."""

    code, status = "factor.still_needed", 409


def required() -> bool:
    """Whether every operator must have one (OPERATOR_SECOND_FACTOR)."""
    return bool(current_app.extensions["settings"].OPERATOR_SECOND_FACTOR)


def ways(operator_id: UUID) -> list[str]:
    """How the second factor can be shown, a passkey first; empty for somebody who has none.

    A passkey of another host counts too: who has one must not come in as if they had none.
    """
    kinds = ([PASSKEY] if passkeys.kept(operator_id) else []) + ([APP] if has_app(operator_id) else [])
    return [*kinds, RECOVERY] if kinds else []


def has_app(operator_id: UUID) -> bool:
    """Whether an app is set up and was tried."""
    app = _app(operator_id)
    return app is not None and app.confirmed_at is not None


def start(operator_id: UUID) -> None:
    """A new secret for an app; one that was shown and never tried is dropped, one in use stays."""
    made = new_id()
    sealed = vault.seal_for_operator(pyotp.random_base32(SECRET_BASE32), table=TABLE, row=made)
    with connected() as connection:
        connection.execute(
            "INSERT INTO operator_factors AS f (operator_id, id, secret) VALUES (%s, %s, %s) ON CONFLICT (operator_id)"
            " DO UPDATE SET id = excluded.id, secret = excluded.secret WHERE f.confirmed_at IS NULL",
            (operator_id, made, sealed),
        )


def setup(operator_id: UUID, name: str) -> Setup | None:
    """The app that is being set up; None when there is none."""
    app = _app(operator_id)
    if app is None or app.confirmed_at is not None:
        return None
    secret = vault.unseal_for_operator(app.secret, table=TABLE, row=app.id)
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"Krug {request.host.partition(':')[0]}")
    return Setup(secret, uri)


def confirm(operator_id: UUID, typed: str) -> list[str]:
    """The app shows the right code: from now on it is asked for. Returns new recovery codes, if there were none.

    Raises `WrongCode`.
    """
    app = _app(operator_id)
    if app is None or app.confirmed_at is not None:
        raise NotFound(gettext("Start again: the picture was too old."))
    step = step_of(vault.unseal_for_operator(app.secret, table=TABLE, row=app.id), typed, app.now)
    if step is None:
        raise _wrong()
    with connected() as connection:
        connection.execute(
            "UPDATE operator_factors SET confirmed_at = clock_timestamp(), last_step = %s WHERE operator_id = %s",
            (step, operator_id),
        )
    audit.note("operator.add_factor", operator_id, kind=APP)
    return first_codes(operator_id)


def add_passkey(operator_id: UUID, answer: str, name: str) -> list[str]:
    """Keep a new passkey. Returns new recovery codes, if there were none. Raises `signing.PasskeyRefused`."""
    passkeys.add(operator_id, answer, name)
    return first_codes(operator_id)


def first_codes(operator_id: UUID) -> list[str]:
    """Recovery codes with the first factor; none where there were some, used ones too."""
    with _alone(operator_id) as connection:
        had = connection.execute(
            "SELECT 1 FROM operator_recovery_codes WHERE operator_id = %s LIMIT 1", (operator_id,)
        ).fetchone()
        return [] if had else _renewed(connection, operator_id)


def renew(operator_id: UUID) -> list[str]:
    """Ten new recovery codes; the old ones open nothing any more."""
    with _alone(operator_id) as connection:
        return _renewed(connection, operator_id)


def _renewed(connection: Any, operator_id: UUID) -> list[str]:
    made = made_codes()
    connection.execute("DELETE FROM operator_recovery_codes WHERE operator_id = %s", (operator_id,))
    for code in made:
        connection.execute(
            "INSERT INTO operator_recovery_codes (code_hash, operator_id) VALUES (%s, %s)",
            (_hash(operator_id, code), operator_id),
        )
    audit.write(connection, "operator.renew_codes", operator_id)
    return made


def left(operator_id: UUID) -> int:
    """How many recovery codes are unused."""
    with connected() as connection:
        row = connection.execute(
            "SELECT count(*) FROM operator_recovery_codes WHERE operator_id = %s AND used_at IS NULL", (operator_id,)
        ).fetchone()
    return int(row[0]) if row else 0


def remove(operator_id: UUID, passkey_id: UUID | None = None) -> None:
    """Take a passkey away, or without one the app; with the last factor the recovery codes go too.

    Raises `NotFound`, and `StillRequired` for the last one where every operator must have one.
    """
    with _alone(operator_id) as connection:
        if passkey_id is None:
            gone = connection.execute(
                "DELETE FROM operator_factors WHERE operator_id = %s RETURNING NULL AS name", (operator_id,)
            ).fetchone()
        else:
            gone = connection.execute(
                "DELETE FROM operator_passkeys WHERE operator_id = %s AND id = %s RETURNING name",
                (operator_id, passkey_id),
            ).fetchone()
        if gone is None:
            raise NotFound(gettext("This is removed already."))
        left = connection.execute(
            "SELECT 1 FROM operator_passkeys WHERE operator_id = %(id)s"
            " UNION ALL SELECT 1 FROM operator_factors WHERE operator_id = %(id)s AND confirmed_at IS NOT NULL",
            {"id": operator_id},
        ).fetchone()
        if left is None and required():
            raise StillRequired(gettext("Every operator needs a second factor here."))
        if left is None:
            connection.execute("DELETE FROM operator_recovery_codes WHERE operator_id = %s", (operator_id,))
    shown = {"kind": APP} if passkey_id is None else {"kind": PASSKEY, "name": gone.name}
    audit.note("operator.remove_factor", operator_id, **shown)


@contextmanager
def _alone(operator_id: UUID) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that no other of the operator's factors and codes runs beside: of two factors that are the last two
    one stays where one is required, and of two first ones one brings the codes.
    """
    with connected() as connection:
        connection.execute(PLAIN_LOCK, (f"operator {operator_id}",))
        yield connection


def prove(operator_id: UUID, way: str, typed: str) -> None:
    """Check what was typed for `way` and use it up: each code counts once (R19). Raises `WrongCode`."""
    checks = {APP: _use_app, RECOVERY: _use_recovery, PASSWORD: _check_password}
    if way not in checks or not checks[way](operator_id, typed):
        raise _wrong()


def _use_app(operator_id: UUID, typed: str) -> bool:
    app = _app(operator_id)
    if app is None or app.confirmed_at is None:
        return False
    step = step_of(vault.unseal_for_operator(app.secret, table=TABLE, row=app.id), typed, app.now)
    if step is None:
        return False
    return _changed(
        "UPDATE operator_factors SET last_step = %s, last_used_at = clock_timestamp()"
        " WHERE operator_id = %s AND last_step < %s",
        (step, operator_id, step),
    )


def _use_recovery(operator_id: UUID, typed: str) -> bool:
    return _changed(
        "UPDATE operator_recovery_codes SET used_at = clock_timestamp() WHERE code_hash = %s AND used_at IS NULL",
        (_hash(operator_id, typed),),
    )


def _check_password(operator_id: UUID, typed: str) -> bool:
    with connected() as connection:
        row = connection.execute("SELECT password_hash FROM operators WHERE id = %s", (operator_id,)).fetchone()
    return passwords.matches(row.password_hash if row else None, typed)


def _changed(statement: str, values: tuple[Any, ...]) -> bool:
    with connected() as connection:
        return connection.execute(statement, values).rowcount == 1


def _app(operator_id: UUID) -> Any:
    with connected() as connection:
        return connection.execute(
            "SELECT id, secret, confirmed_at, clock_timestamp() AS now FROM operator_factors WHERE operator_id = %s",
            (operator_id,),
        ).fetchone()


def _hash(operator_id: UUID, code: str) -> str:
    return hashlib.sha256(f"operator|{operator_id}|{bare(code)}".encode()).hexdigest()


def _wrong() -> WrongCode:
    return WrongCode(gettext("This code does not fit. Type the six digits that the app shows now."))
