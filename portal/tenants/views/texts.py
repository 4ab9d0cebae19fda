"""The greeting at the door, the announcement on top of people's pages, and whom mails of the tenant come from."""

from datetime import date
from email.utils import parseaddr
from typing import Any

from flask import flash, g, redirect, request, session, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response
from wtforms import DateField, Field, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Email, Length, Optional, StopValidation

from portal.identity.contacts import InvalidEmail, clean_email
from portal.identity.onward import safe_path
from portal.identity.stepup import fresh_to_write
from portal.kernel.authz import LOGIN, Permission, PortalBlueprint
from portal.settings import settings
from portal.tenants import domains, hosts
from portal.tenants.announce import KEY
from portal.tenants.change import ChangedMeanwhile, latest, update_tenant
from portal.tenants.forms import SeenForm
from portal.web.forms import no_nul, typed
from portal.web.fragments import render
from portal.web.locale import supported
from portal.web.security import reading

texts = PortalBlueprint("tenants_texts", __name__, room="admin")
announcements = PortalBlueprint("tenants_banner", __name__, room="member")
LONGEST = 300


class TextsForm(SeenForm):
    """The banner's days and readers (its texts are one a language), and the sender of mails."""

    begins = DateField(_l("First day"), [Optional()])
    ends = DateField(_l("Last day"), [Optional()])
    audience = RadioField(
        _l("Who sees it"),
        choices=[
            SelectChoice("all", _l("Everybody")),
            SelectChoice("members", _l("Members")),
            SelectChoice("staff", _l("Staff: tills and desks")),
        ],
        default="all",
    )
    sender = StringField(_l("Name of the sender"), [no_nul, Length(max=60)])
    from_address = StringField(_l("Address of the sender"), [Optional(), no_nul, Length(max=254)])
    reply_to = StringField(
        _l("Address for answers"),
        [Optional(), no_nul, Length(max=254), Email(_l("Write an address like anna@example.com."))],
    )

    def validate_ends(self, field: Field) -> None:
        """Not before the first day."""
        if field.data and self.begins.data and field.data < self.begins.data:
            raise StopValidation(gettext("The last day is before the first."))

    def validate_from_address(self, field: Field) -> None:
        """Of a domain that is proved; what is kept already may stay, mails do without it meanwhile."""
        if not field.data or field.data == _mail().get("from_address"):
            return
        try:
            field.data = clean_email(field.data)
        except InvalidEmail as error:
            raise StopValidation(error.message) from error
        domains.recheck(field.data)  # an old proof may have ended since
        if domains.proved(domains.ascii_domain(field.data)) is None:
            raise StopValidation(
                gettext(
                    "Prove first that %(domain)s is yours: add it under Addresses. It need not be put into service.",
                    domain=field.data.rpartition("@")[2],
                )
            )


@announcements.route("/banner", methods=["POST"], permission=LOGIN)
def close_banner() -> Response:
    """Not to be seen again in this session."""
    session[KEY] = request.form.get("key", "")[:16]
    return redirect(safe_path(request.form.get("next")) or "/", code=303)


@texts.route("/admin/settings/texts", methods=["GET", "POST"], permission=Permission.SETTINGS_UPDATE)
@fresh_to_write
def edit() -> Response:
    """Greeting, announcement and sender."""
    if reading():
        return _page(_stored(), _kept_words())
    form, words = TextsForm(), _typed_words()
    if not form.validate():
        return _page(form, words, status=422)
    announced = {
        "text": {code: text for code, text in words["text"].items() if text},
        "from": form.begins.data.isoformat() if form.begins.data else None,
        "to": form.ends.data.isoformat() if form.ends.data else None,
        "audience": form.audience.data,
    }
    mail = {
        "from_name": form.sender.data or "",
        "from_address": form.from_address.data or "",
        "reply_to": form.reply_to.data or "",
    }
    welcome = {code: text for code, text in words["welcome"].items() if text}
    own: dict[str, Any] = g.tenant.settings.get("texts") or {}
    greeting = {**{name: value for name, value in own.items() if name != "welcome"}, "welcome": welcome}
    values = {KEY: announced, "mail": mail, "texts": greeting if welcome or own else None}
    try:
        update_tenant("texts", {f"settings.{name}": value for name, value in values.items()}, seen=form.version)
    except ChangedMeanwhile as error:
        return _page(form, words, told=error.message, status=409)
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("tenants_texts.edit"), code=303)


@texts.route("/admin/settings/texts/preview", methods=["POST"], permission=Permission.SETTINGS_UPDATE)
def preview() -> Response:
    """What is typed, as people will read it; nothing is saved."""
    return _page(TextsForm(), _typed_words(), fragment="texts_preview")


def _stored() -> TextsForm:
    kept: dict[str, Any] = g.tenant.settings.get(KEY) or {}
    mail = _mail()
    return TextsForm(
        data={
            "seen": str(latest()),
            "begins": date.fromisoformat(kept["from"]) if kept.get("from") else None,
            "ends": date.fromisoformat(kept["to"]) if kept.get("to") else None,
            "audience": kept.get("audience", "all"),
            "sender": mail.get("from_name", ""),
            "from_address": mail.get("from_address", ""),
            "reply_to": mail.get("reply_to", ""),
        }
    )


def _mail() -> dict[str, str]:
    return g.tenant.settings.get("mail") or {}


def _languages() -> list[str]:
    return [code for code in g.tenant.locales if code in supported()]


def _kept_words() -> dict[str, dict[str, str]]:
    """The texts that hold, `{"text" | "welcome": {language: text}}`."""
    announced: dict[str, str] = (g.tenant.settings.get(KEY) or {}).get("text") or {}
    welcome: dict[str, str] = (g.tenant.settings.get("texts") or {}).get("welcome") or {}
    return {
        name: {code: kept.get(code, "") for code in _languages()}
        for name, kept in (("welcome", welcome), ("text", announced))
    }


def _typed_words() -> dict[str, dict[str, str]]:
    return {name: {code: _line(f"{name}-{code}") for code in _languages()} for name in ("welcome", "text")}


def _line(field: str) -> str:
    return typed(field)[:LONGEST]


def _page(
    form: TextsForm, words: dict[str, dict[str, str]], *, told: str = "", status: int = 200, fragment: str = "main"
) -> Response:
    ours = parseaddr(settings().MAIL_FROM)[1]
    kept = _mail().get("from_address")
    return render(
        "tenants/texts.html",
        fragment=fragment,
        form=form,
        words=words,
        told=told,
        ours=ours,
        ours_domain=domains.ascii_domain(ours),
        proved=domains.mail_names(),
        kept=kept,
        lost=bool(kept) and domains.proved(domains.ascii_domain(str(kept))) is None,
        status=status,
    )
