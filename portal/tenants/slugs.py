"""Names of addresses: what a tenant may be called in `<slug>.<base>` (security.md 2, B3)."""

import re

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
RESERVED = frozenset(
    [
        "about",
        "abuse",
        "account",
        "accounts",
        "admin",
        "administrator",
        "api",
        "app",
        "apps",
        "assets",
        "auth",
        "billing",
        "blog",
        "cdn",
        "chat",
        "contact",
        "dashboard",
        "dev",
        "demo-admin",
        "docs",
        "download",
        "email",
        "files",
        "ftp",
        "health",
        "help",
        "hooks",
        "host",
        "hostmaster",
        "id",
        "imap",
        "info",
        "internal",
        "invite",
        "invoice",
        "legal",
        "live",
        "local",
        "localhost",
        "login",
        "mail",
        "manage",
        "media",
        "metrics",
        "mx",
        "news",
        "noc",
        "ns",
        "ns1",
        "ns2",
        "oauth",
        "office",
        "ops",
        "operator",
        "owner",
        "pay",
        "payment",
        "payments",
        "platform",
        "pop",
        "postmaster",
        "portal",
        "privacy",
        "public",
        "register",
        "root",
        "secure",
        "security",
        "sales",
        "shop-admin",
        "signin",
        "signup",
        "smtp",
        "ssl",
        "staff",
        "staging",
        "static",
        "status",
        "store-admin",
        "support",
        "sys",
        "system",
        "team",
        "test",
        "tls",
        "upload",
        "vpn",
        "webmail",
        "webmaster",
        "well-known",
        "wiki",
        "ww",
        "www",
        "www1",
        "www2",
        "xmpp",
    ]
)
_ALIKE = (("-", ""), ("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("3", "e"), ("8", "b"))


def well_formed(slug: str) -> bool:
    """Letters, digits and single hyphens inside; nothing that a browser would read as punycode."""
    return bool(SLUG.fullmatch(slug)) and slug[2:4] != "--"


def skeleton(slug: str) -> str:
    """What the eye makes of it: two slugs of one skeleton are taken for each other."""
    for seen, read in _ALIKE:
        slug = slug.replace(seen, read)
    return slug


RESERVED_SKELETONS = frozenset(map(skeleton, RESERVED))


def reserved(slug: str) -> bool:
    """A name that speaks for the installation itself, or looks like one."""
    return slug in RESERVED or skeleton(slug) in RESERVED_SKELETONS
