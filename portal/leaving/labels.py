"""What is kept about a member, in words (G16)."""

from collections.abc import Mapping

from flask_babel import gettext


def kinds(counted: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Each kind of data that there is: its name, what becomes of it when its member leaves, how many entries."""
    goes, stays = gettext("is deleted"), gettext("stays, without your name")
    groups = (
        (gettext("Name, contacts, card"), goes, ("users", "contact_changes", "customer_refs")),
        (gettext("Profile and picture"), goes, ("profiles", "stored_files")),
        (gettext("Verification and documents"), goes, ("kyc_submissions", "kyc_documents")),
        (gettext("Devices and sign-in"), goes, ("device_sessions", "two_factor_methods", "recovery_codes")),
        (gettext("Telegram"), goes, ("telegram_accounts", "bot_sessions", "bot_dialogs")),
        (gettext("Notices and what to be told"), goes, ("notifications", "notification_preferences")),
        (gettext("What you agreed to"), goes, ("consents",)),
        (gettext("Posts and roles"), goes, ("business_staff", "tenant_roles", "role_assignments")),
        (gettext("Whom you brought, who brought you"), stays, ("referrals",)),
        (gettext("Purchases and refunds"), stays, ("purchases", "purchase_refunds")),
        (gettext("Movements of bonus"), stays, ("ledger_transactions",)),
        (gettext("Tier"), stays, ("tier_memberships", "tier_changes")),
    )
    found = [(name, fate, sum(counted.get(table, 0) for table in tables)) for name, fate, tables in groups]
    return [line for line in found if line[2]]
