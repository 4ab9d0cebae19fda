"""The words of this noun as people read them (G16)."""

from flask_babel import gettext


def receiver(name: str) -> str:
    """Who gets the messages of a subscriber; its frozen name when it has no other."""
    return {
        "analytics.purchase_facts": gettext("Statistics"),
        "imports.run": gettext("Imports"),
        "jobs.run": gettext("Long work"),
        "jobs.notify_owner": gettext("Inbox: work that ended"),
        "messages.notify_purchase": gettext("Inbox: purchases"),
        "messages.notify_tier": gettext("Inbox: tiers"),
        "messages.welcome": gettext("Inbox: welcome"),
        "messages.email_purchase": gettext("Mail: purchases"),
        "messages.email_tier": gettext("Mail: tiers"),
        "messages.email_welcome": gettext("Mail: welcome"),
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
