"""Whose a domain is: a TXT record at `_krug.<host>` that carries the tenant's token, asked of a resolver (security.md 2)."""

from urllib.parse import urlsplit

import dns.exception
import dns.resolver

from portal.settings import settings

LABEL, PREFIX = "_krug", "krug-verification="
PATIENCE_S = 5.0


def record_name(host: str) -> str:
    """Where the record is to stand."""
    return f"{LABEL}.{host}"


def record_text(token: str) -> str:
    """What is to stand in it."""
    return PREFIX + token


def carries(host: str, token: str) -> str:
    """'' when the domain carries the token, else why not: none, other, unreachable."""
    resolver = dns.resolver.Resolver(configure=not settings().DNS_RESOLVER)
    if settings().DNS_RESOLVER:
        where = urlsplit(f"//{settings().DNS_RESOLVER}")
        resolver.nameservers, resolver.port = [where.hostname or ""], where.port or 53
    resolver.lifetime = PATIENCE_S
    try:
        answer = resolver.resolve(record_name(host), "TXT", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return "none"
    except dns.exception.DNSException:
        return "unreachable"
    texts = {b"".join(row.strings).decode("ascii", "replace") for row in answer}
    return "" if record_text(token) in texts else "other"
