"""The words of this noun as people read them (G16)."""

from flask_babel import gettext


def receiver(name: str) -> str:
    """Who gets the messages of a subscriber; its frozen name when it has no other."""
    return {
        "analytics.purchase_facts": gettext("Statistics"),
        "jobs.run": gettext("Long work"),
        "jobs.notify_owner": gettext("Inbox: work that ended"),
        "messages.notify_purchase": gettext("Inbox: purchases"),
        "messages.notify_tier": gettext("Inbox: tiers"),
        "messages.notify_factor": gettext("Inbox: second factors"),
        "messages.notify_kyc": gettext("Inbox: verification"),
        "messages.notify_safety": gettext("Inbox: safety of the account"),
        "messages.welcome": gettext("Inbox: welcome"),
        "messages.email_purchase": gettext("Mail: purchases"),
        "messages.email_tier": gettext("Mail: tiers"),
        "messages.email_factor": gettext("Mail: second factors"),
        "messages.email_kyc": gettext("Mail: verification"),
        "messages.email_safety": gettext("Mail: safety of the account"),
        "messages.email_welcome": gettext("Mail: welcome"),
        "messages.tell_old_contact": gettext("Mail: a replaced address"),
        "messages.send_code": gettext("Codes to sign in"),
        "messages.send_invitation": gettext("Invitations"),
        "messages.send_reset": gettext("Links for a new password"),
        "audit.mail_root": gettext("Mail: the seal of the audit log"),
    }.get(name, name)


def state(code: str) -> str:
    """What has become of a delivery."""
    return {
        "pending": gettext("Waiting"),
        "leased": gettext("On its way"),
        "delivered": gettext("Delivered"),
        "dead": gettext("Given up"),
    }.get(code, code)


def dot(code: str) -> str:
    """The same as a shape for `ui.dot`."""
    return {"delivered": "yes", "dead": "bad"}.get(code, "near")
