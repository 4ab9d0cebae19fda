"""Passwords: argon2id, at most four at once, refused when they can be guessed (security.md 6)."""

import unicodedata
from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext
from zxcvbn import zxcvbn

from portal.kernel.errors import PortalError

SHORTEST, LONGEST = 12, 256
SCORE = 3  # of 4: 10^8 guesses are not enough
JUDGED = 72  # as much as the judge can read
AT_ONCE = 4  # 4 x 19 MiB
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_seats = BoundedSemaphore(AT_ONCE)


class WeakPassword(PortalError):
    """Too short, too long or easy to guess."""

    code = "member.weak_password"


def hashed(password: str) -> str:
    """What is stored of a password."""
    with _seats:
        return _hasher.hash(_plain(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether this is the password. Without a stored one the same work is done, and the answer is no."""
    known = stored or _nobodys()
    fits = len(password) <= LONGEST
    with _seats:
        try:
            _hasher.verify(known, _plain(password) if fits else "")
        except (VerificationError, InvalidHashError):
            return False
    return fits and stored is not None


def outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def check_strength(password: str, *known: str | None) -> None:
    """Refuse what can be guessed, also from the person's own details in `known`. Raises `WeakPassword`."""
    plain = _plain(password)
    if len(plain) < SHORTEST:
        raise WeakPassword(gettext("Use at least %(count)s characters; a short sentence does well.", count=SHORTEST))
    if len(password) > LONGEST:
        raise WeakPassword(gettext("A password has at most %(count)s characters.", count=LONGEST))
    details = [text for text in known if text]
    words = [word for text in details for word in (text, *text.replace("@", " ").split())]
    if zxcvbn(plain[:JUDGED], user_inputs=[word.casefold() for word in words])["score"] < SCORE:
        raise WeakPassword(
            gettext("This is too easy to guess. Three or four words that have nothing to do with each other do well.")
        )


def _plain(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
