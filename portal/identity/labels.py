"""How roles and ways of joining are called (G16)."""

from typing import Any

from flask_babel import gettext


def role(name: str) -> str:
    """A role in words."""
    names = {
        "member": gettext("Member"),
        "cashier": gettext("Cashier"),
        "manager": gettext("Manager"),
        "owner": gettext("Owner"),
        "editor": gettext("Editor"),
        "support": gettext("Support"),
        "finance": gettext("Finance"),
        "admin": gettext("Admin"),
        "tenant_owner": gettext("Owner of the circle"),
    }
    return names.get(name, name)


def permissions() -> dict[str, str]:
    """Every permission in words, in the order of a matrix: the till, the desk of a shop, the circle."""
    return {
        "members.find": gettext("find a member at the till"),
        "members.create": gettext("enrol members"),
        "members.erase": gettext("erase members"),
        "members.merge": gettext("merge members"),
        "members.impersonate": gettext("look through a member’s eyes"),
        "purchases.create": gettext("record purchases"),
        "purchases.refund": gettext("give refunds"),
        "desk.read": gettext("see the figures of a shop"),
        "purchases.read": gettext("read purchases"),
        "purchases.export": gettext("download purchases"),
        "purchases.import": gettext("record older purchases"),
        "imports.create": gettext("import files"),
        "staff.manage": gettext("name the staff of a shop"),
        "keys.manage": gettext("make API keys"),
        "dashboard.read": gettext("see the figures of the circle"),
        "businesses.read": gettext("see businesses"),
        "businesses.create": gettext("open businesses"),
        "businesses.update": gettext("change and close businesses"),
        "members.read": gettext("see members"),
        "members.update": gettext("correct, stop and help members"),
        "kyc.read": gettext("see verifications and their documents"),
        "kyc.approve": gettext("decide verifications"),
        "wallets.read": gettext("see balances"),
        "wallets.adjust": gettext("correct balances"),
        "tiers.read": gettext("see the tiers"),
        "tiers.update": gettext("change the tiers"),
        "audit.read": gettext("read the audit log"),
        "deliveries.read": gettext("see what is being delivered"),
        "deliveries.manage": gettext("send deliveries again"),
        "roles.manage": gettext("make, give and take roles"),
        "settings.update": gettext("change the settings of the circle"),
    }


def joined_via(way: str) -> str:
    """How a member came here."""
    ways = {
        "join": gettext("Joined by themselves"),
        "till": gettext("Joined at a till"),
        "desk": gettext("Written in by staff"),
        "import": gettext("Came with an import"),
        "api": gettext("Joined through the API"),
        "invitation": gettext("Came by an invitation"),
        "telegram": gettext("Joined by Telegram"),
        "cli": gettext("Made with the community"),
        "demo": gettext("Part of the demo"),
    }
    return ways.get(way, way)


def method(kind: str) -> str:
    """A kind of second factor."""
    kinds = {
        "passkey": gettext("Passkey"),
        "totp": gettext("Authenticator app"),
        "email": gettext("Code by mail"),
        "sms": gettext("Code by SMS"),
    }
    return kinds.get(kind, kind)


def movement(kind: str) -> str:
    """A movement of bonus by its ledger type (G5)."""
    kinds = {
        "accrual": gettext("Bonus earned"),
        "redemption": gettext("Bonus spent"),
        "refund_reversal": gettext("Bonus taken back"),
        "refund_restore": gettext("Bonus given back"),
        "activation": gettext("Bonus became spendable"),
        "expiry": gettext("Bonus burned"),
        "adjustment": gettext("Corrected by hand"),
        "reward": gettext("Reward"),
        "merge": gettext("Moved between two accounts of one person"),
        "opening_balance": gettext("Brought from the old programme"),
    }
    return kinds.get(kind, kind)


def tier_cause(cause: str) -> str:
    """Why a tier changed (LOY-11)."""
    causes = {
        "earned": gettext("earned by purchases"),
        "expired": gettext("the period ended"),
        "manual": gettext("set by hand"),
        "merge": gettext("two accounts were joined or parted"),
        "refund": gettext("after a refund"),
    }
    return causes.get(cause, cause)


def action(name: str) -> str:
    """An act of the audit log that concerns a member."""
    actions = {
        "member.register": gettext("Written in"),
        "member.write_in": gettext("Written in"),
        "member.join": gettext("Joined"),
        "invitation.accept": gettext("Accepted an invitation"),
        "member.edit": gettext("Contacts corrected"),
        "member.edit_profile": gettext("Profile changed"),
        "member.choose_language": gettext("Language chosen"),
        "member.set_password": gettext("Password set"),
        "member.change_password": gettext("Password changed"),
        "member.suspend": gettext("Suspended"),
        "member.unsuspend": gettext("Opened again"),
        "member.end_sessions": gettext("Signed out everywhere"),
        "session.open": gettext("Signed in"),
        "session.close": gettext("Signed out"),
        "session.revoke": gettext("A device was signed out"),
        "session.revoke_others": gettext("Other devices were signed out"),
        "session.second_factor": gettext("Showed the second factor"),
        "session.confirm": gettext("Confirmed who they are"),
        "factor.start_app": gettext("Began to set up an app"),
        "factor.confirm_app": gettext("An authenticator app was added"),
        "factor.add_passkey": gettext("A passkey was added"),
        "factor.rename": gettext("A passkey was renamed"),
        "factor.remove": gettext("A second factor was removed"),
        "factor.renew_codes": gettext("New recovery codes were made"),
        "telegram.join": gettext("Joined"),
        "telegram.link": gettext("Telegram linked"),
        "telegram.unlink": gettext("Telegram unlinked"),
        "telegram.claim": gettext("Telegram of another member: the accounts may be one person’s"),
        "role.grant": gettext("Role given"),
        "role.take": gettext("Role taken"),
        "role.assign": gettext("Role given"),
        "role.unassign": gettext("Role taken"),
        "wallet.adjust": gettext("Bonus corrected"),
        "loyalty.set_tier": gettext("Tier set by hand"),
    }
    return actions.get(name, name)


def notice(kind: str, data: dict[str, Any]) -> str:
    """What a notice said, in the reader's language; its name where the inbox cannot tell."""
    from portal.messages.texts import text_of

    return text_of(kind, data).title
