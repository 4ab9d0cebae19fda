"""The only clock: the database's, read once a transaction, moved by a sandbox tenant's offset (D8)."""

from datetime import date, datetime
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The moment this command or request began, UTC-aware, the same at every call inside one transaction."""
    from portal.extensions import db

    session = db.session()
    if not session.in_transaction():
        session.connection()
    moment: datetime = session.info["now"]
    return moment


def today(zone: str) -> date:
    """The calendar day it is in `zone` (G11)."""
    return now().astimezone(ZoneInfo(zone)).date()
