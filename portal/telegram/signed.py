"""What Telegram says of a person, checked: Mini App initData and Login Widget (TMA-1, TMA-2, S11). Pure functions."""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OLDEST = timedelta(minutes=5)  # decisions.md, Telegram login auth_date
AHEAD = timedelta(seconds=60)
LARGEST = 8192  # characters; real ones have a few hundred
LARGEST_ID = 2**52  # Telegram's own promise
TELEGRAM_KEY = bytes.fromhex("e7bf03a2fa4602af4580703d88dda5bb59f32ed8b02a56c187fe7d34caed242d")
HEX = re.compile(r"[0-9a-f]{64}")
PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
DIGITS = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


class NotFromTelegram(ValueError):
    """The data was not made by Telegram for this bot, or was changed on its way."""


class TooOld(ValueError):
    """Telegram said so, but too long ago (or, by its clock, in the future)."""


@dataclass(frozen=True, slots=True)
class Told:
    """A person as Telegram names them. `digest` is the hash of the data: it lets in once; `at`: seconds since 1970."""

    id: int
    first_name: str
    last_name: str
    username: str
    language: str
    at: int
    digest: str

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


def init_data(raw: str, token: str, now: datetime, oldest: timedelta = OLDEST) -> Told:
    """Check a Mini App's initData as it came, never written anew. Raises `NotFromTelegram` or `TooOld` (TMA-1)."""
    pairs = _pairs(raw)
    secret = hmac.digest(b"WebAppData", token.encode(), "sha256")
    digest = _check(pairs, secret)
    try:
        person = json.loads(pairs["user"])
    except (KeyError, ValueError, RecursionError):
        raise NotFromTelegram("nobody is named") from None
    if not isinstance(person, dict):
        raise NotFromTelegram("nobody is named")
    return _told(person, pairs.get("auth_date"), digest, now, oldest)


def login(fields: Mapping[str, Any], token: str, now: datetime, oldest: timedelta = OLDEST) -> Told:
    """Check the Login Widget's fields (each once, numbers or texts). Raises `NotFromTelegram` or `TooOld` (TMA-2)."""
    pairs = {str(name): _text(value) for name, value in fields.items()}
    digest = _check(pairs, hashlib.sha256(token.encode()).digest())
    return _told(pairs, pairs.get("auth_date"), digest, now, oldest)


def by_third_party(raw: str, bot_id: int, key: bytes = TELEGRAM_KEY) -> bool:
    """Whether Telegram itself signed this initData for the bot: Ed25519, for whoever has no token (TMA-1)."""
    try:
        pairs = _pairs(raw)
        signature = pairs["signature"]
        signed = {name: value for name, value in pairs.items() if name not in {"hash", "signature"}}
        message = f"{bot_id}:WebAppData\n{_lines(signed)}".encode()
        Ed25519PublicKey.from_public_bytes(key).verify(
            urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), message
        )
    except (NotFromTelegram, KeyError, ValueError, InvalidSignature):
        return False
    return True


def _pairs(raw: str) -> dict[str, str]:
    """The raw query, split on & and the first =, each value decoded once; a plus stays a plus. A key twice is refused."""
    if len(raw) > LARGEST:
        raise NotFromTelegram("too long")
    pairs: dict[str, str] = {}
    for part in raw.split("&"):
        name, equals, value = part.partition("=")
        name = _decoded(name)
        if not equals or not name or name in pairs:
            raise NotFromTelegram("not a list of single fields")
        pairs[name] = _decoded(value)
    return pairs


def _decoded(text: str) -> str:
    if PERCENT.search(text):
        raise NotFromTelegram("not percent-encoded")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise NotFromTelegram("not UTF-8") from None


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise NotFromTelegram("not a list of single fields")
    return str(value)


def _lines(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={pairs[name]}" for name in sorted(pairs))


def _check(pairs: Mapping[str, str], secret: bytes) -> str:
    """The hash, when it is right for everything else; `signature` is part of everything else."""
    given = pairs.get("hash", "").lower()
    if not HEX.fullmatch(given):
        raise NotFromTelegram("no hash")
    rest = {name: value for name, value in pairs.items() if name != "hash"}
    try:
        right = hmac.new(secret, _lines(rest).encode(), "sha256").hexdigest()
    except UnicodeError:
        raise NotFromTelegram("not UTF-8") from None
    if not hmac.compare_digest(given, right):
        raise NotFromTelegram("the hash does not fit")
    return given


def _told(person: Mapping[str, Any], auth_date: str | None, digest: str, now: datetime, oldest: timedelta) -> Told:
    number, at = str(person.get("id", "")), str(auth_date or "")
    if not DIGITS.fullmatch(number) or int(number) > LARGEST_ID or not DIGITS.fullmatch(at):
        raise NotFromTelegram("no id or no time")
    age = now.timestamp() - int(at)
    if age > oldest.total_seconds() or age < -AHEAD.total_seconds():
        raise TooOld("auth_date")
    names = {name: plain(person.get(name)) for name in ("first_name", "last_name", "username", "language_code")}
    return Told(
        int(number),
        names["first_name"],
        names["last_name"],
        names["username"],
        names["language_code"],
        int(at),
        digest,
    )


def plain(value: Any) -> str:
    """A name as it can be kept: without control characters, 200 characters at most."""
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text if c.isprintable()).encode("utf-8", "ignore").decode().strip()[:200]
