"""Leaving for good: the person goes, the books stay under an id that names nobody (AUD-3, security.md 13)."""

import logging
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from redis import RedisError
from sqlalchemy import delete, func, or_, select, update

from portal.extensions import db
from portal.files import service as files
from portal.identity import cards, roles
from portal.identity.models import OneTimeCode, PasswordReset, User
from portal.identity.service import locked
from portal.imports.models import ImportReject
from portal.invitations.models import Invitation
from portal.kernel import clock, vault
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import PortalError
from portal.kernel.redis import redis
from portal.leaving.events import MemberErased
from portal.leaving.registry import LINKS, blanks
from portal.wallets import service as wallets
from portal.wallets.errors import InsufficientFunds
from portal.wallets.queries import balances, lots_left
from portal.web.locale import locale_of

log = logging.getLogger(__name__)
PHONE_DIGITS = 10  # however the beginning of a number is written: +7, 8, 007
BURNT = ("bonus", "locked", "points")


class MoneyLeft(PortalError):
    """There is money, which belongs to the member, or an amount that is held; it has to be paid out first."""

    code, status = "member.money_left", 409


def erase(member_id: UUID, *, reason: str) -> None:
    """Anonymise a member, and whoever was merged into them, at once: there is no way back. Raises `MoneyLeft`, `roles.LastAdmin`, `roles.Untouchable` and `NotFound`.

    One command changes the rows; the bytes of their files and what Redis holds go after it. A process that dies in
    between leaves the files to `files.purge`, and counters in Redis end by themselves within a day.
    """
    try:
        whole, doomed = _erase(member_id, reason=reason)
    except InsufficientFunds:  # a lot's day came between reading and drawing it
        whole, doomed = _erase(member_id, reason=reason)
    try:
        files.remove(doomed)
    except OSError:
        log.exception("files of a member who left could not be removed now; the next purge tries again")
    with suppress(RedisError):
        store = redis()
        for one in whole:
            for key in store.scan_iter(match=f"*{one}*", count=1000):
                store.delete(key)


@command("member.erase", emits=(MemberErased,))
def _erase(member_id: UUID, *, reason: str) -> tuple[list[UUID], list[UUID]]:
    member = locked(member_id)  # a purchase takes the same lock: it is recorded before, or refused after
    roles.refuse_touching(member_id)
    roles.refuse_last_admin(member_id)
    _burn(member_id)
    merged = select(User).where(User.merged_into == member_id).order_by(User.id).with_for_update()
    whole = [member, *db.session.scalars(merged, execution_options={"populate_existing": True})]
    for one in whole:
        _forget_unlinked(one)
    doomed: list[UUID] = []
    for link in LINKS:
        if link.fate == "delete":
            db.session.execute(delete(link.rows).where(link.of(member_id)))
        elif link.fate == "blank" and link.table != "users":
            db.session.execute(update(link.rows).where(link.of(member_id)).values(dict(blanks(link))))
        elif link.fate == "discard":
            gone = update(link.rows).where(link.of(member_id), link.rows.c.business_id.is_(None))
            values = {"name": "", "expires_at": clock.now()}
            doomed += db.session.scalars(gone.values(values).returning(link.rows.c.id)).all()
    for one in whole:
        vault.shred(one.id)
        _anonymise(one)
    journal().about("member", member_id)
    journal().reason(reason)
    for one in whole:
        emit(MemberErased(member_id=one.id))
    return [one.id for one in whole], doomed


def _anonymise(member: User) -> None:
    users = next(link for link in LINKS if link.table == "users")
    for name, value in blanks(users):
        setattr(member, name, value)
    with locale_of(SimpleNamespace(locale=None), g.tenant):
        member.name = gettext("Former member")
    member.search_text = ""
    member.card_number = _spare_card()
    member.email_confirmed_at = member.phone_confirmed_at = member.welcomed_at = member.suspended_at = None
    member.auth_epoch = (member.auth_epoch or 0) + 1
    member.archived_at, member.archived_by = clock.now(), g.get("actor_id")
    db.session.flush()


def _spare_card() -> str:
    """A number that was never printed: the old one must name nobody."""
    while True:
        number = cards.new_card_number()
        if db.session.scalar(select(User.id).where(User.card_number == number)) is None:
            return number


def _burn(member_id: UUID) -> None:
    """What is left of the bonus goes to breakage; what is owed to nobody is not kept for nobody."""
    own = balances(member_id)
    if any(account.held or (account.type == "main" and account.posted > 0) for account in own):
        raise MoneyLeft(gettext("There is money in the wallet, or a payment under way. Take it out first."))
    postings = [
        wallets.Posting(
            type="adjustment",
            source="leaving",
            external_id=f"{member_id}:{lot_id}",
            currency=account.currency,
            amount=amount,
            payer=wallets.Account.member(member_id, account.type),
            payee=wallets.Account.system("breakage"),
            module="leaving",
            action="forfeit",
            member_id=member_id,
            only_lot=lot_id,
        )
        for account in own
        if account.type in BURNT
        for lot_id, amount in lots_left(account.account_id, account.posted)
    ]
    if postings:
        wallets.post(*postings)


def _forget_unlinked(member: User) -> None:
    """Rows that name the person by what they typed and not by their id."""
    typed = [text for text in (member.email, member.phone) if text]
    for model in (OneTimeCode, PasswordReset, Invitation):
        db.session.execute(delete(model).where(model.target.in_(typed)))
    digits = func.regexp_replace(ImportReject.content, r"\D", "", "g")
    told: list[Any] = [digits.contains(member.card_number)]
    told += [digits.contains(member.phone[-PHONE_DIGITS:])] if member.phone else []
    told += [func.lower(ImportReject.content).contains(member.email, autoescape=True)] if member.email else []
    db.session.execute(delete(ImportReject).where(or_(*told)))
