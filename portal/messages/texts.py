"""What members are told, by kind: one place for the inbox and for mails, in the language being spoken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext, ngettext

from portal.kernel.model import I18n
from portal.kernel.money import format_amount
from portal.web.locale import current, first_locale


@dataclass(frozen=True, slots=True)
class Text:
    """A headline, a sentence or two, where it leads, and its icon."""

    title: str
    body: str
    path: str
    icon: str


Data = Mapping[str, Any]


def _money(data: Data, name: str) -> str:
    return format_amount(int(data[name]), data["currency"], current())


def _bonus(data: Data, name: str) -> str:
    return format_amount(int(data[name]), data["currency"], current(), symbol=False)


def _purchase(data: Data) -> Text:
    earned, paid = int(data["bonus_accrued"]), int(data["paid_with_bonus"])
    parts = [gettext("%(amount)s at %(shop)s.", amount=_money(data, "amount"), shop=data["shop"])]
    if paid:
        parts.append(gettext("%(bonus)s paid with bonus.", bonus=_bonus(data, "paid_with_bonus")))
    parts.append(gettext("Your balance: %(balance)s.", balance=_bonus(data, "balance")))
    title = gettext("+%(bonus)s bonus", bonus=_bonus(data, "bonus_accrued")) if earned else gettext("Purchase recorded")
    return Text(title, " ".join(parts), "/me/wallet", "coin")


def _refund(data: Data) -> Text:
    title = (
        gettext("Purchase undone")
        if data["cause"] == "undo"
        else gettext("Refund of %(amount)s", amount=_money(data, "amount"))
    )
    parts = [gettext("%(amount)s came back from %(shop)s.", amount=_money(data, "amount"), shop=data["shop"])]
    if int(data["bonus_taken_back"]):
        parts.append(gettext("%(bonus)s earned bonus was taken back.", bonus=_bonus(data, "bonus_taken_back")))
    if int(data["bonus_given_back"]):
        parts.append(gettext("%(bonus)s spent bonus is yours again.", bonus=_bonus(data, "bonus_given_back")))
    parts.append(gettext("Your balance: %(balance)s.", balance=_bonus(data, "balance")))
    return Text(title, " ".join(parts), "/me/wallet", "arrow-back-up")


def _tier(data: Data) -> Text:
    name = I18n(data["name"]).in_(current())
    if data["up"]:
        return Text(
            gettext("You reached %(tier)s", tier=name),
            gettext("You earn %(rate)s%% of each purchase from now on.", rate=data["rate"]),
            "/me",
            "crown",
        )
    return Text(
        gettext("Your tier is %(tier)s now", tier=name),
        gettext("You earn %(rate)s%% of each purchase.", rate=data["rate"]),
        "/me",
        "stack-2",
    )


def _welcome(data: Data) -> Text:
    return Text(
        gettext("Welcome, %(name)s", name=data["first_name"]),
        gettext(
            "Show your card at any partner: each purchase brings bonus. Your card number is %(card)s.",
            card=data["card"],
        ),
        "/me/card",
        "qrcode",
    )


def _method(data: Data) -> str:
    from portal.identity.labels import method

    kind = method(str(data["kind"]))
    return f"{kind} “{data['name']}”" if data.get("name") else kind


def _factor_added(data: Data) -> Text:
    return Text(
        gettext("A second factor was added"),
        gettext(
            "%(method)s can be used to sign in from now on. If it was not you, change your password and remove it.",
            method=_method(data),
        ),
        "/me/security",
        "shield-check",
    )


def _password(data: Data) -> Text:  # noqa: ARG001
    return Text(
        gettext("Your password was changed"),
        gettext("If it was not you, set a new one at once by “Forgot the password?” and tell the staff."),
        "/me/security",
        "key",
    )


def _contact(data: Data) -> Text:
    if data["kind"] == "email":
        title = gettext("The e-mail of your account was changed")
    else:
        title = gettext("The phone of your account was changed")
    return Text(
        title,
        gettext("If it was not you, set a new password at once and tell the staff: they put it right."),
        "/me/contacts",
        "shield-check",
    )


def _identity_linked(data: Data) -> Text:  # noqa: ARG001  the one provider
    return Text(
        gettext("Telegram was linked"),
        gettext(
            "Whoever holds that Telegram account can sign in as you. If it was not you, unlink it and change your password."
        ),
        "/me/security",
        "send",
    )


def _identity_unlinked(data: Data) -> Text:  # noqa: ARG001
    return Text(
        gettext("Telegram was unlinked"),
        gettext("It no longer opens your account. If it was not you, change your password and sign out all devices."),
        "/me/security",
        "alert-triangle",
    )


def _merged(data: Data) -> Text:  # noqa: ARG001
    return Text(
        gettext("Two accounts of yours are one now"),
        gettext(
            "Staff joined another account of yours with this one: its bonus, purchases and card are here. If only this one is yours, tell the staff within seven days: they part them again."
        ),
        "/me/wallet",
        "users",
    )


def _parted(data: Data) -> Text:  # noqa: ARG001
    return Text(
        gettext("An account was parted from yours"),
        gettext("Staff found that it is somebody else's. What came with it and was not spent went back."),
        "/me/wallet",
        "arrows-left-right",
    )


def _factor_removed(data: Data) -> Text:
    return Text(
        gettext("A second factor was removed"),
        gettext(
            "%(method)s no longer opens your account. If it was not you, change your password and sign out all devices.",
            method=_method(data),
        ),
        "/me/security",
        "alert-triangle",
    )


def _looked_at(data: Data) -> Text:
    return Text(
        gettext("Support looked at your account"),
        gettext("The reason: %(reason)s. They could see your pages and change nothing.", reason=str(data["reason"])),
        "/me/security",
        "eye",
    )


def _role(data: Data) -> Text:
    from portal.identity import labels

    role = I18n(data.get("names") or {}).in_(current(), first_locale()) or labels.role(str(data["role"]))
    named = f"{role} · {data['business']}" if data["business"] else role
    title = {
        "given": gettext("You have a role: %(role)s", role=named),
        "taken": gettext("A role was taken from you: %(role)s", role=named),
    }.get(str(data["how"]), gettext("Your role was changed: %(role)s", role=named))
    body = gettext(
        "You sign in anew; then you may do what your roles say. If you did not expect it, ask who runs the circle."
    )
    return Text(title, body, "/me/more", "shield-check")


def _recovery_code_used(data: Data) -> Text:
    return Text(
        gettext("A recovery code was used"),
        ngettext(
            "%(num)s code is left. If it was not you, change your password and make new codes.",
            "%(num)s codes are left. If it was not you, change your password and make new codes.",
            int(data["left"]),
        ),
        "/me/security",
        "alert-triangle",
    )


def _job(data: Data) -> Text:
    return Text(
        str(data.get("title") or gettext("Your work is done")),
        str(data.get("message", "")),
        str(data.get("path", "/me")),
        "check",
    )


def _root(data: Data) -> Text:
    body = gettext(
        "The audit log has %(entries)s entries in %(n)s seals. Hash of the last seal: %(hash)s. Signature: %(signature)s. Keep this mail: with it any later rewriting of the log can be proved.",
        **{name: data[name] for name in ("entries", "n", "hash", "signature")},
    )
    return Text(gettext("Audit log: signed root %(n)s", n=data["n"]), body, "/admin/audit/chain", "shield-check")


def _sender_lost(data: Data) -> Text:
    body = gettext(
        "The record that proves %(host)s to be yours is gone, so mails come from the portal's address and no longer from your own. Prove the domain again, and they will.",
        host=data["host"],
    )
    return Text(gettext("Your mails have lost their address"), body, "/admin/settings/domains", "mail")


def _kyc(data: Data) -> Text:
    from portal.kyc import labels

    state = str(data["state"])
    why = " ".join(f"{labels.reason(name)}." for name in data["reasons"])
    words = {
        "verified": (gettext("You are verified"), gettext("Your documents are in order. Thank you.")),
        "rejected": (gettext("Your verification was refused"), why),
        "resubmit": (gettext("Please send your documents again"), why),
        "expired": (gettext("Your verification has run out"), gettext("Send your documents again to keep your level.")),
        "review": (gettext("Your verification is looked at again"), gettext("You hear from us when it is done.")),
    }
    title, body = words.get(state, (state, ""))
    return Text(title, " ".join(part for part in (body, str(data["note"])) if part), "/me/verification", "user-check")


# kind → the workflow it belongs to, and its words
KINDS: Mapping[str, tuple[str, Callable[[Data], Text]]] = {
    "purchase.recorded": ("purchase", _purchase),
    "purchase.refunded": ("purchase", _refund),
    "tier.changed": ("tier", _tier),
    "member.registered": ("welcome", _welcome),
    "kyc.decided": ("verification", _kyc),
    "factor.added": ("security", _factor_added),
    "factor.removed": ("security", _factor_removed),
    "member.looked_at": ("security", _looked_at),
    "role.changed": ("security", _role),
    "recovery_code.used": ("security", _recovery_code_used),
    "password.changed": ("security", _password),
    "contact.changed": ("security", _contact),
    "identity.linked": ("security", _identity_linked),
    "identity.unlinked": ("security", _identity_unlinked),
    "member.merged": ("security", _merged),
    "member.parted": ("security", _parted),
    "job.done": ("work", _job),
    "audit.signed": ("security", _root),
    "sender.lost": ("security", _sender_lost),
}


def text_of(kind: str, data: Data) -> Text:
    """The words of a notice in the current language; a kind of another release says so plainly."""
    known = KINDS.get(kind)
    return known[1](data) if known else Text(kind, "", "/me/notifications", "bell")


def workflow_of(kind: str) -> str:
    """What a member switches on and off to hear of this kind; raises KeyError for a kind without words."""
    return KINDS[kind][0]
