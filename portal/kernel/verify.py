"""What must always hold, counted: the invariants I1 to I15, each noun's own and those of the kernel.

A noun with something to keep has `portal/<noun>/verify.py` with `CHECKS`: a name that begins with the invariant's number → SQL
of the acting tenant (`:t`; columns `what`, and `off` where an amount tells more), or a function that returns what it found, in
words. What no noun keeps yet is not in the list: a count of nothing would look like a proof.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import text

from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

Check = str | Callable[[], list[str]]


CHECKS: Mapping[str, Check] = {
    "I9 a message goes to a subscriber twice": """
        SELECT message_id || ' to ' || subscriber AS what, count(*) AS off FROM outbox_deliveries WHERE tenant_id = :t
         GROUP BY message_id, subscriber HAVING count(*) > 1""",
    "I9 a message is closed with deliveries open, or open with none": """
        SELECT m.id AS what FROM outbox_messages m WHERE m.tenant_id = :t AND (m.published_at IS NULL) <>
               EXISTS (SELECT 1 FROM outbox_deliveries d WHERE d.tenant_id = :t AND d.message_id = m.id AND d.open)""",
}
DRAINED: Mapping[str, Check] = {
    "I9 a delivery is neither delivered nor dead": """
        SELECT id || ' to ' || subscriber AS what FROM outbox_deliveries WHERE tenant_id = :t AND open""",
}


def found_by(check: Check) -> list[str]:
    """What breaks this rule for the acting tenant, in words."""
    if not isinstance(check, str):
        return check()
    rows = db.session.execute(text(check), {"t": current_tenant_id()})
    return [f"{row.what} (by {row.off})" if "off" in row._fields else str(row.what) for row in rows]
