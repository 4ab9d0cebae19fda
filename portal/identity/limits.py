"""Rates in front of the door, kept in Redis and, when it is down, in the process: never open (security.md 14)."""

from typing import Any

from flask import g
from flask_limiter import RateLimitExceeded

from portal.extensions import limiter
from portal.identity.failures import TooManyTries
from portal.identity.sessions import real_now
from portal.web.client import client_address

TRIES_AN_ADDRESS = "60 per 5 minutes"
TRIES_IN_ALL = "1000 per 5 minutes"
JOINS_AN_ADDRESS = "20 per hour"
PASSWORDS_A_PERSON = "10 per 5 minutes"


def _tenant() -> str:
    return str(g.get("tenant_id"))


def _address() -> str:
    return f"{g.get('tenant_id')}|{client_address()}"


def _person() -> str:
    return f"{g.get('tenant_id')}|{g.get('actor_id')}"


def waited_for(_: RateLimitExceeded) -> TooManyTries:
    """The refusal of a limit, with how long to wait."""
    limit = limiter.current_limit
    return TooManyTries(int(limit.reset_at - real_now().timestamp()) + 1 if limit else 60)


def limited(rate: str, *, of: str = "address") -> Any:
    """A decorator for a view: POSTs above the rate are answered 429 with how long to wait."""
    key = {"address": _address, "tenant": _tenant, "person": _person}[of]
    return limiter.limit(rate, key_func=key, methods=["POST"])
