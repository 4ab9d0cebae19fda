"""Where members stand in the tables: every column that names one, and what becomes of its row when they leave (AUD-3,
security.md 13). What is in a column follows from its class, `pii("export" | "erase" | "keep:…")`; a test fails for a
column that names a member and stands neither here nor in `ACTORS`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Table, select

from portal.identity.queries import whose
from portal.kernel.model import Model
from portal.kernel.tenancy import current_tenant_id

Fate = Literal["delete", "blank", "keep", "discard"]


@dataclass(frozen=True, slots=True)
class Link:
    """A column of `table` that names a member, or, with `via`, a row of that table which does.

    `delete` takes the rows away, `blank` empties their personal columns, `keep` leaves them under the member's id,
    which names nobody any more; `discard` takes files away with their bytes. What is not
    `told` is staff's own work on a member: erased with them, but not handed out.
    """

    table: str
    column: str
    fate: Fate
    via: str = ""
    told: bool = True

    @property
    def rows(self) -> Table:
        """The table itself."""
        return Model.metadata.tables[self.table]

    def of(self, member_id: UUID) -> ColumnElement[bool]:
        """Which rows are this member's, and those of whoever was merged into them (D28)."""
        own = self.rows.c
        return (own.tenant_id == current_tenant_id()) & _named(self, member_id)


LINKS = (  # children before their parents: rows are deleted in this order
    Link("kyc_documents", "submission_id", "delete", via="kyc_submissions"),
    Link("kyc_submissions", "member_id", "delete"),
    Link("member_notes", "member_id", "delete", told=False),
    Link("member_words", "member_id", "delete"),
    Link("device_sessions", "user_id", "delete"),
    Link("two_factor_methods", "user_id", "delete"),
    Link("recovery_codes", "user_id", "delete"),
    Link("passkey_challenges", "user_id", "delete"),
    Link("identities", "user_id", "delete"),
    Link("telegram_accounts", "user_id", "delete"),
    Link("telegram_links", "user_id", "delete"),
    Link("bot_sessions", "user_id", "delete"),
    Link("bot_dialogs", "user_id", "delete"),
    Link("otp_attempts", "subject_id", "delete"),
    Link("one_time_codes", "member_id", "delete"),
    Link("password_resets", "member_id", "delete"),
    Link("invitations", "member_id", "delete"),
    Link("contact_changes", "member_id", "delete"),
    Link("consents", "member_id", "delete"),
    Link("member_pairs", "low_id", "delete", told=False),
    Link("member_pairs", "high_id", "delete", told=False),
    Link("notifications", "member_id", "delete"),
    Link("notification_preferences", "member_id", "delete"),
    Link("notification_states", "member_id", "delete"),
    Link("referral_codes", "member_id", "delete"),
    Link("customer_refs", "member_id", "delete"),
    Link("spend_codes", "member_id", "delete"),
    Link("tenant_roles", "user_id", "delete"),
    Link("role_assignments", "user_id", "delete"),
    Link("business_staff", "user_id", "delete"),
    Link("profiles", "id", "delete"),
    Link("stored_files", "owner_id", "discard"),
    Link("tier_memberships", "id", "blank"),
    Link("member_merges", "from_id", "blank", told=False),
    Link("member_merges", "into_id", "blank", told=False),
    Link("users", "id", "blank"),
    Link("tier_progress", "member_id", "keep"),
    Link("tier_changes", "member_id", "keep"),
    Link("referrals", "member_id", "keep"),
    Link("purchases", "member_id", "keep"),
    Link("purchase_lines", "purchase_id", "keep", via="purchases"),
    Link("purchase_refunds", "purchase_id", "keep", via="purchases"),
    Link("wallet_accounts", "owner_id", "keep"),
    Link("lots", "account_id", "keep", via="wallet_accounts"),
    Link("ledger_transactions", "member_id", "keep"),
    Link("ledger_entries", "member_id", "keep"),
    Link("jobs", "owner_id", "keep"),
    Link("form_submissions", "user_id", "keep"),
)
ACTORS = {  # who did something to somebody else's row: an id, which after an erasure names nobody
    "api_keys.created_by",
    "api_keys.revoked_by",
    "audit_entries.actor_id",
    "audit_entries.on_behalf_of",
    "business_locations.archived_by",
    "business_staff.archived_by",
    "businesses.archived_by",
    "device_sessions.impersonator_id",
    "invitations.invited_by",
    "kyc_submissions.decided_by",
    "kyc_submissions.first_approver_id",
    "legal_texts.published_by",
    "ledger_transactions.caused_by",
    "member_merges.merged_by",
    "member_merges.undone_by",
    "member_notes.author_id",
    "member_pairs.decided_by",
    "outbox_messages.actor_id",
    "outbox_messages.caused_by",
    "purchase_refunds.actor_id",
    "purchases.cashier_id",
    "referrals.referrer_id",
    "spend_codes.requested_by",
    "tenant_versions.actor_id",
    "tier_memberships.actor_id",
    "users.archived_by",
    "users.merged_into",
}
KEYS = {"data_keys.subject_id"}  # dropped by vault.shred
UNTOLD = ("keep:secret", "keep:hash", "keep:technical", "keep:keyed hash", "keep:security log")
SECRETS = {"password_hash", "search_text"}  # no use to their owner, or a risk


def exported(link: Link) -> list[Any]:
    """The columns of a table that its member is given: all but keys, hashes and what only machines read."""
    return [c for c in link.rows.columns if c.name not in {"tenant_id", *SECRETS} and _told(c)]


def blanks(link: Link) -> Iterator[tuple[str, Any]]:
    """The personal columns of a table that is kept, with the value that takes the place of theirs."""
    for column in link.rows.columns:
        if column.info.get("pii") not in {"erase", "export"}:
            continue
        if column.nullable:
            yield column.name, None
        elif column.server_default is not None:
            empty = column.server_default.arg  # type: ignore[attr-defined]
            yield column.name, json.loads(empty) if isinstance(column.type, JSON) else empty


def _told(column: Any) -> bool:
    return not column.info.get("pii", "").startswith(UNTOLD)


def _named(link: Link, member_id: UUID) -> ColumnElement[bool]:
    own = link.rows.c[link.column]
    if not link.via:
        return whose(own, member_id)
    parent = next(one for one in LINKS if one.table == link.via)
    return own.in_(select(parent.rows.c.id).where(parent.of(member_id)))
