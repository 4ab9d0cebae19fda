"""The announcement on top of people's pages, and whom mails of the tenant come from: two entries of `tenants.settings`."""

import hashlib
import json
from datetime import date
from typing import Any

from flask import flash, g, redirect, request, session, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import DateField, Field, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Email, Length, Optional, StopValidation

from portal.kernel import clock
from portal.kernel.authz import LOGIN, Permission, PortalBlueprint
from portal.kernel.commands import command
from portal.tenants import hosts
from portal.tenants.change import put_setting
from portal.web.forms import PortalForm, no_nul
from portal.web.fragments import render
from portal.web.locale import current as locale
from portal.web.locale import supported

texts = PortalBlueprint("tenants_texts", __name__, room="admin")
announcements = PortalBlueprint("tenants_banner", __name__, room="member")
KEY = "banner"
LONGEST = 300


class TextsForm(PortalForm):
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
    reply_to = StringField(
        _l("Address for answers"),
        [Optional(), no_nul, Length(max=254), Email(_l("Write an address like anna@example.com."))],
    )

    def validate_ends(self, field: Field) -> None:
        """Not before the first day."""
        if field.data and self.begins.data and field.data < self.begins.data:
            raise StopValidation(gettext("The last day is before the first."))


def banner(room: str) -> dict[str, str] | None:
    """What stands on top of a page of this room ("member", "till", "desk") today, `{text, key}`; None for nothing.

    Days are the tenant's own. Whoever closed it does not see it again while the session lasts, unless it changes.
    """
    tenant = g.get("tenant")
    if tenant is None or not current_user.is_authenticated:
        return None
    kept: dict[str, Any] = tenant.settings.get(KEY) or {}
    words: dict[str, str] = kept.get("text") or {}
    text = words.get(locale()) or words.get(tenant.default_locale)
    today = clock.today(tenant.timezone).isoformat()
    reader = "members" if room == "member" else "staff"
    if not text or kept.get("audience", "all") not in {"all", reader}:
        return None
    if today < (kept.get("from") or today) or today > (kept.get("to") or today):
        return None
    key = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
    return None if dict(session).get(KEY) == key else {"text": text, "key": key}


@announcements.route("/banner", methods=["POST"], permission=LOGIN)
def close_banner() -> Response:
    """Not to be seen again in this session."""
    from portal.identity.onward import safe_path

    session[KEY] = request.form.get("key", "")[:16]
    return redirect(safe_path(request.form.get("next")) or "/", code=303)


@texts.route("/admin/settings/texts", methods=["GET", "POST"], permission=Permission.SETTINGS_UPDATE)
def edit() -> Response:
    """Announcement and sender."""
    kept: dict[str, Any] = g.tenant.settings.get(KEY) or {}
    mail: dict[str, str] = g.tenant.settings.get("mail") or {}
    languages = [code for code in g.tenant.locales if code in supported()]
    if request.method == "GET":
        form = TextsForm(
            data={
                "begins": date.fromisoformat(kept["from"]) if kept.get("from") else None,
                "ends": date.fromisoformat(kept["to"]) if kept.get("to") else None,
                "audience": kept.get("audience", "all"),
                "sender": mail.get("from_name", ""),
                "reply_to": mail.get("reply_to", ""),
            }
        )
        words = kept.get("text") or {}
        return render("tenants/texts.html", form=form, words={code: words.get(code, "") for code in languages})
    form = TextsForm()
    words = {
        code: " ".join(request.form.get(f"text-{code}", "").replace("\x00", "").split())[:LONGEST] for code in languages
    }
    if not form.validate():
        return render("tenants/texts.html", form=form, words=words, status=422)
    _save(
        {
            "text": {code: text for code, text in words.items() if text},
            "from": form.begins.data.isoformat() if form.begins.data else None,
            "to": form.ends.data.isoformat() if form.ends.data else None,
            "audience": form.audience.data,
        },
        {"from_name": form.sender.data or "", "reply_to": form.reply_to.data or ""},
    )
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("tenants_texts.edit"), code=303)


@command("tenant.set_texts")
def _save(announced: dict[str, Any], mail: dict[str, str]) -> None:
    put_setting(KEY, announced)
    put_setting("mail", mail)
