"""What operators do, in words. The names in the log are frozen; these are not (G16)."""

from flask_babel import gettext


def action(name: str) -> str:
    """An act of the operator's room."""
    words = {
        "tenants.read": gettext("saw the list of tenants"),
        "tenant.read": gettext("saw a tenant"),
        "tenant.open": gettext("opened a tenant"),
        "tenant.suspend": gettext("suspended a tenant"),
        "tenant.resume": gettext("let a tenant go on"),
        "tenant.set_terms": gettext("set the terms of a tenant"),
        "tenant.change_owner": gettext("changed the owner of a tenant"),
        "domains.read": gettext("saw the list of domains"),
        "domain.check": gettext("had the proof of a domain checked"),
        "domain.retire": gettext("retired an address of a tenant"),
        "health.read": gettext("saw the health of the installation"),
        "audit.read": gettext("read this log"),
        "operator.create": gettext("made an operator on the command line"),
        "operator.reset": gettext("gave an operator a new password on the command line"),
        "operator.sign_in": gettext("signed in"),
        "operator.sign_in_failed": gettext("typed a wrong password or code"),
        "operator.second_factor": gettext("showed the second factor"),
        "operator.add_factor": gettext("added a second factor"),
        "operator.remove_factor": gettext("removed a second factor"),
        "operator.renew_codes": gettext("made new recovery codes"),
        "operator.end_sessions": gettext("signed other devices out"),
        "operator.sign_out": gettext("signed out"),
    }
    return words.get(name, name)
