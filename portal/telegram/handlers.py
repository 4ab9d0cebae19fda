"""One-time codes by Telegram: a channel of `portal/identity/codes.py`."""

from flask import g
from flask_babel import gettext

from portal.extensions import db
from portal.identity import codes
from portal.messages.codes import spoken
from portal.messages.letter import AddressUnusable
from portal.telegram import bot, service


def by_telegram(code: codes.Outgoing) -> None:
    """The code from the tenant's bot to the member's linked account.

    Raises `AddressUnusable` when they have none or stopped the bot, `bot.BotFailed` when it is worth another try.
    """
    account = service.account_of(code.member_id) if code.member_id else None
    if account is None:
        raise AddressUnusable("no Telegram")
    token = service.token()
    db.session.rollback()
    with spoken(code.locale):
        words = gettext("%(code)s is your code for %(tenant)s", code=code.code, tenant=g.tenant.name)
        warning = gettext(
            "It holds for ten minutes. Nobody of ours asks for it; if it was not you who asked, do nothing."
        )
    try:
        bot.send(token, account.telegram_id, f"{words}. {warning}")
    except bot.BotBlocked:
        assert code.member_id is not None  # noqa: S101  an account was found by it
        service.set_blocked(code.member_id, blocked=True)
        raise AddressUnusable("stopped the bot") from None
    except bot.BotRefused as refused:
        raise AddressUnusable(refused.message) from None


def _offered() -> bool:
    return service.connected() is not None


codes.register_channel(codes.Channel(codes.TELEGRAM, by_telegram, _offered))
