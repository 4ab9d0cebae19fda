"""Everything that happened to a member, newest first: one statement over what several nouns keep.

What happened to whoever was merged into them is theirs too (D28).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import text

from portal.audit import labels as log
from portal.extensions import db
from portal.identity import labels
from portal.identity.queries import ACCOUNTS
from portal.kernel.authz import Permission
from portal.kernel.model import I18n
from portal.kernel.tenancy import current_tenant_id
from portal.web.locale import current as locale
from portal.web.template import money_text

SIZE = 30
KINDS = ("purchase", "bonus", "tier", "notice", "audit")
_SOURCES = {
    "purchase": """
        SELECT 'purchase' AS kind, p.occurred_at AS at, p.id, jsonb_build_object('shop', b.name, 'amount', p.amount,
               'currency', p.currency, 'earned', p.bonus_accrued, 'spent', p.paid_with_bonus, 'receipt', p.receipt_number) AS data
          FROM purchases p JOIN businesses b ON b.tenant_id = p.tenant_id AND b.id = p.business_id
         WHERE p.tenant_id = :tenant AND p.member_id {whose} AND {before:p.occurred_at, p.id}
         ORDER BY p.occurred_at DESC, p.id DESC LIMIT :limit""",
    "refund": """
        SELECT 'refund', r.occurred_at, r.id, jsonb_build_object('shop', b.name, 'amount', r.amount, 'currency', p.currency,
               'back', r.bonus_taken_back, 'given', r.bonus_given_back, 'receipt', p.receipt_number, 'cause', r.cause)
          FROM purchases p JOIN purchase_refunds r ON r.tenant_id = p.tenant_id AND r.purchase_id = p.id
          JOIN businesses b ON b.tenant_id = p.tenant_id AND b.id = p.business_id
         WHERE p.tenant_id = :tenant AND p.member_id {whose} AND {before:r.occurred_at, r.id}
         ORDER BY r.occurred_at DESC, r.id DESC LIMIT :limit""",
    "bonus": """
        SELECT 'bonus', e.occurred_at, e.id, jsonb_build_object('type', x.type, 'amount', e.amount, 'currency', e.currency,
               'after', e.balance_after, 'reason', x.metadata ->> 'reason')
          FROM wallet_accounts w JOIN ledger_entries e ON e.tenant_id = w.tenant_id AND e.account_id = w.id
          JOIN ledger_transactions x ON x.tenant_id = e.tenant_id AND x.id = e.transaction_id
         WHERE w.tenant_id = :tenant AND w.owner_kind = 'member' AND w.owner_id {whose}
           AND x.source NOT IN ('purchase', 'refund') AND {before:e.occurred_at, e.id}
         ORDER BY e.occurred_at DESC, e.id DESC LIMIT :limit""",
    "tier": """
        SELECT 'tier', c.at, c.id, jsonb_build_object('from', f.name_i18n, 'to', t.name_i18n, 'cause', c.cause)
          FROM tier_changes c JOIN status_tiers t ON t.tenant_id = c.tenant_id AND t.id = c.to_tier_id
          LEFT JOIN status_tiers f ON f.tenant_id = c.tenant_id AND f.id = c.from_tier_id
         WHERE c.tenant_id = :tenant AND c.member_id {whose} AND {before:c.at, c.id}
         ORDER BY c.at DESC, c.id DESC LIMIT :limit""",
    "notice": """
        SELECT 'notice', n.created_at, n.id, jsonb_build_object('name', n.kind, 'data', n.data, 'read', n.read_at)
          FROM notifications n
         WHERE n.tenant_id = :tenant AND n.member_id {whose} AND {before:n.created_at, n.id}
         ORDER BY n.created_at DESC, n.id DESC LIMIT :limit""",
    "audit": """
        SELECT 'audit', a.occurred_at, a.id, jsonb_build_object('action', a.action, 'by', u.name, 'reason', a.reason,
               'own', a.actor_id = :member)
          FROM audit_entries a LEFT JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.actor_id
         WHERE a.tenant_id = :tenant AND a.object_type = 'member' AND a.object_id {whose}
           AND {before:a.occurred_at, a.id}
         ORDER BY a.occurred_at DESC, a.id DESC LIMIT :limit""",
}
_OF_KIND = {
    "purchase": ("purchase", "refund"),
    "bonus": ("bonus",),
    "tier": ("tier",),
    "notice": ("notice",),
    "audit": ("audit",),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened; `figure` is money or bonus with its sign."""

    id: UUID
    kind: str
    icon: str
    at: datetime
    title: str
    note: str = ""
    figure: str = ""


def kinds() -> list[str]:
    """What this reader may see: the audit log needs its own permission."""
    return [kind for kind in KINDS if kind != "audit" or current_user.may(Permission.AUDIT_READ)]


def lines(member_id: UUID, *, kind: str = "", after: str = "") -> tuple[list[Line], str | None]:
    """A page of the timeline and the cursor of the next one."""
    cursor = _read(after)
    wanted = [name for each in (kinds() if kind not in kinds() else [kind]) for name in _OF_KIND[each]]
    parts = [_narrowed(_SOURCES[name], before=cursor is not None) for name in wanted]
    statement = " UNION ALL ".join(f"(SELECT * FROM ({part}) AS s (kind, at, id, data))" for part in parts)
    values = {"tenant": current_tenant_id(), "member": member_id, "limit": SIZE + 1}
    if cursor is not None:
        values |= {"at": cursor[0], "key": cursor[1]}
    rows = db.session.execute(text(f"{statement} ORDER BY at DESC, id DESC LIMIT :limit"), values).all()
    shown = rows[:SIZE]
    more = f"{shown[-1].at.isoformat()}~{shown[-1].id}" if len(rows) > SIZE else None
    return [_line(row) for row in shown], more


def _narrowed(source: str, *, before: bool) -> str:
    start = source.index("{before:")
    end = source.index("}", start)
    columns = source[start + len("{before:") : end]
    narrowed = source[:start] + (f"({columns}) < (:at, :key)" if before else "true") + source[end + 1 :]
    return narrowed.replace("{whose}", ACCOUNTS)


def _read(after: str) -> tuple[datetime, UUID] | None:
    moment, _, key = after.partition("~")
    try:
        at, last = datetime.fromisoformat(moment), UUID(key)
    except ValueError:
        return None
    return (at, last) if at.tzinfo else None


def _line(row: Any) -> Line:
    icon, title, note, figure = _WORDS[row.kind](row.data)
    return Line(row.id, row.kind, icon, row.at, title, note, figure)


def _purchase(d: dict[str, Any]) -> tuple[str, str, str, str]:
    bonus = [gettext("earned %(bonus)s", bonus=money_text(d["earned"], d["currency"]))] if d["earned"] else []
    bonus += [gettext("paid with bonus %(bonus)s", bonus=money_text(d["spent"], d["currency"]))] if d["spent"] else []
    note = ", ".join([gettext("receipt %(number)s", number=d["receipt"]), *bonus])
    return "coin", gettext("Purchase at %(shop)s", shop=d["shop"]), note, money_text(d["amount"], d["currency"])


def _refund(d: dict[str, Any]) -> tuple[str, str, str, str]:
    undone = d["cause"] == "undo"
    title = (
        gettext("Purchase undone at %(shop)s", shop=d["shop"])
        if undone
        else gettext("Refund at %(shop)s", shop=d["shop"])
    )
    note = [gettext("receipt %(number)s", number=d["receipt"])]
    note += [gettext("bonus taken back %(bonus)s", bonus=money_text(d["back"], d["currency"]))] if d["back"] else []
    note += [gettext("bonus given back %(bonus)s", bonus=money_text(d["given"], d["currency"]))] if d["given"] else []
    return "arrow-back-up", title, ", ".join(note), money_text(-d["amount"], d["currency"])


def _bonus(d: dict[str, Any]) -> tuple[str, str, str, str]:
    sign = "+" if d["amount"] > 0 else ""
    return "wallet", labels.movement(d["type"]), d["reason"] or "", sign + money_text(d["amount"], d["currency"])


def _tier(d: dict[str, Any]) -> tuple[str, str, str, str]:
    before, after = (I18n(d[name] or {}).in_(locale()) for name in ("from", "to"))
    title = gettext("%(before)s → %(after)s", before=before, after=after) if before else after
    return "stack-2", title, labels.tier_cause(d["cause"]), ""


def _notice(d: dict[str, Any]) -> tuple[str, str, str, str]:
    return "bell", labels.notice(d["name"], d["data"]), gettext("read") if d["read"] else gettext("not read yet"), ""


def _audit(d: dict[str, Any]) -> tuple[str, str, str, str]:
    who = gettext("by themselves") if d["own"] else gettext("by %(name)s", name=d["by"] or gettext("the system"))
    return "history", _title(d["action"]), ", ".join(filter(None, (who, d["reason"]))), ""


def _title(action: str) -> str:
    """The act in few words; one that has none here, in those of the audit log."""
    known = labels.action(action)
    told = known if known != action else log.action_name(action)
    return told[:1].upper() + told[1:]


_WORDS = {"purchase": _purchase, "refund": _refund, "bonus": _bonus, "tier": _tier, "notice": _notice, "audit": _audit}
