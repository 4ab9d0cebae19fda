"""Acts in words."""

from flask_babel import gettext


def action_name(action: str) -> str:
    """What a command's frozen name means; an unlisted one is shown as it is."""
    names = {
        "purchase.record": gettext("Purchase recorded"),
        "purchase.record_history": gettext("Past sales recorded"),
        "purchase.refund": gettext("Refund given"),
        "purchase.undo": gettext("Purchase undone"),
        "member.register": gettext("Member enrolled"),
        "member.join": gettext("Member joined"),
        "member.suspend": gettext("Account stopped"),
        "member.unsuspend": gettext("Account opened again"),
        "member.edit": gettext("Contacts changed"),
        "session.open": gettext("Signed in"),
        "session.close": gettext("Signed out"),
        "wallet.adjust": gettext("Balance corrected"),
        "wallet.expire": gettext("Bonus burnt"),
        "business.create": gettext("Business opened"),
        "business.update": gettext("Business changed"),
        "business.archive": gettext("Business closed"),
        "business.reopen": gettext("Business opened again"),
        "staff.add": gettext("Post given"),
        "staff.remove": gettext("Post ended"),
        "key.create": gettext("API key made"),
        "key.revoke": gettext("API key revoked"),
        "tiers.update": gettext("Tiers changed"),
        "tenant.update": gettext("Settings changed"),
        "delivery.replay": gettext("Delivery sent again"),
        "delivery.replay_all": gettext("Deliveries sent again"),
        "audit.export": gettext("Audit log downloaded"),
        "members.export": gettext("Members downloaded"),
    }
    return names.get(action, action)


def kind_name(kind: str | None) -> str:
    """What kind of thing an entry is about."""
    names = {
        "member": gettext("member"),
        "purchase": gettext("purchase"),
        "business": gettext("business"),
        "delivery": gettext("delivery"),
        "tenant": gettext("circle"),
        "session": gettext("session"),
        "job": gettext("work"),
        "key": gettext("API key"),
    }
    return names.get(kind or "", kind or "")
