"""The Bot API of `TELEGRAM_API_URL`, through python-telegram-bot. Every call waits ten seconds at most."""

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from portal.kernel.errors import PortalError
from portal.settings import settings

R = TypeVar("R")
PATIENCE_S = 10
TOKEN = re.compile(r"[1-9][0-9]{2,15}:[A-Za-z0-9_-]{20,80}", re.ASCII)
os.environ.setdefault("PTB_TIMEDELTA", "1")  # else the library warns of what it will change
for _talker in ("httpx", "httpcore", "telegram"):  # their lines hold the address, and that holds the token
    logging.getLogger(_talker).setLevel(logging.WARNING)


class BotRefused(PortalError):
    """Telegram refuses: a token that it does not know, or an address that it cannot call."""

    code, status = "telegram.bot_refused", 422


class BotBlocked(Exception):
    """This person stopped the bot or never started it."""


class BotFailed(OSError):
    """Telegram did not answer, or asks to wait; worth another try."""


def get_me(token: str) -> tuple[int, str]:
    """The bot's number and name. Raises `BotRefused` or `BotFailed`."""
    me: Any = _call(token, lambda bot: bot.get_me())
    return me.id, me.username


def set_webhook(token: str, url: str, secret: str) -> None:
    """Have updates sent to `url` with this secret. Raises `BotRefused` or `BotFailed`."""
    _call(
        token,
        lambda bot: bot.set_webhook(url, secret_token=secret, allowed_updates=["message", "my_chat_member"]),
    )


def delete_webhook(token: str) -> None:
    """Have no more updates sent. Raises `BotRefused` or `BotFailed`."""
    _call(token, lambda bot: bot.delete_webhook())


def send(token: str, telegram_id: int, words: str) -> None:
    """Write to somebody. Raises `BotBlocked`, `BotRefused` or `BotFailed`."""
    _call(token, lambda bot: bot.send_message(telegram_id, words))


def _call(token: str, work: Callable[[Any], Awaitable[R]]) -> R:
    from telegram import error

    if not TOKEN.fullmatch(token):
        raise BotRefused("not a token")
    try:
        with ThreadPoolExecutor(1) as apart:  # the caller's own thread may run a loop already
            return apart.submit(lambda: asyncio.run(_asked(token, work))).result()
    except error.Forbidden:
        raise BotBlocked from None
    except (error.InvalidToken, error.BadRequest) as refused:
        raise BotRefused(type(refused).__name__) from None  # the words may hold the token
    except error.TelegramError as failed:
        raise BotFailed(type(failed).__name__) from None


async def _asked(token: str, work: Callable[[Any], Awaitable[R]]) -> R:
    from telegram import Bot
    from telegram.request import HTTPXRequest

    waits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout", "pool_timeout"), PATIENCE_S)
    async with HTTPXRequest(**waits) as request:  # type: ignore[arg-type]
        bot = Bot(token, base_url=f"{settings().TELEGRAM_API_URL}/bot", request=request, get_updates_request=request)
        return await work(bot)
