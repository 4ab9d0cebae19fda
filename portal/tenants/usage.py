"""What the acting tenant has and uses, counted as the operator counts it (portal/platform/queries.py)."""

from dataclasses import dataclass

from babel.numbers import get_currency_name
from flask import g
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import money
from portal.kernel.tenancy import current_tenant_id
from portal.web.locale import current as locale

_COUNTS = text("""
SELECT (SELECT count(*) FROM users WHERE tenant_id = :t AND archived_at IS NULL AND merged_into IS NULL) AS members,
       (SELECT count(*) FROM business_staff WHERE tenant_id = :t AND archived_at IS NULL) AS staff,
       (SELECT count(*) FROM businesses WHERE tenant_id = :t AND archived_at IS NULL) AS businesses,
       (SELECT count(*) FROM notification_states WHERE tenant_id = :t AND channel = 'email' AND state = 'sent'
           AND updated_at > clock_timestamp() - interval '1 day') AS mails_a_day,
       (SELECT coalesce(sum(size), 0)::bigint / 1048576 FROM stored_files WHERE tenant_id = :t AND state = 'ready') AS storage_mb
""")
_CURRENCIES = text("""
SELECT code, sum(members)::bigint AS members, sum(businesses)::bigint AS businesses FROM (
    SELECT currency AS code, count(DISTINCT owner_id) AS members, 0 AS businesses FROM wallet_accounts
     WHERE tenant_id = :t AND owner_kind = 'member' GROUP BY currency
    UNION ALL
    SELECT currency, 0, count(*) FROM businesses WHERE tenant_id = :t AND archived_at IS NULL GROUP BY currency
    UNION ALL SELECT :own, 0, 0) AS found
 GROUP BY code ORDER BY code = :own DESC, code
""")


@dataclass(frozen=True, slots=True)
class InUse:
    """A currency that balances are kept in: `members` hold some account in it, `businesses` sell in it."""

    code: str
    name: str
    kind: str
    decimals: int
    members: int
    businesses: int


def counts() -> dict[str, int]:
    """How much there is of everything that has a limit."""
    return dict(db.session.execute(_COUNTS, {"t": current_tenant_id()}).one()._mapping)


def currencies() -> list[InUse]:
    """The tenant's own currency first, then the others."""
    rows = db.session.execute(_CURRENCIES, {"t": current_tenant_id(), "own": g.tenant.currency})
    return [_in_use(row.code, row.members, row.businesses) for row in rows]


def _in_use(code: str, members: int, businesses: int) -> InUse:
    kind = money.currency(code)
    name = get_currency_name(code, locale=locale()) if kind.kind == "fiat" else code
    return InUse(code, name, kind.kind, kind.exponent, members, businesses)
