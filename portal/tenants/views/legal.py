"""Legal pages: read by everybody, written by the tenant's admin."""

from typing import Any

from flask import abort, flash, g, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.identity.stepup import fresh_to_write
from portal.kernel.authz import PUBLIC, Permission, PortalBlueprint
from portal.tenants import hosts
from portal.tenants import legal as texts
from portal.tenants.drafts import BLANK, drafts
from portal.web.forms import PortalForm, clean
from portal.web.fragments import render
from portal.web.locale import language_name, supported
from portal.web.security import reading

legal = PortalBlueprint("legal", __name__, room="public")
legal_admin = PortalBlueprint("legal_admin", __name__, room="admin")
P = Permission.SETTINGS_UPDATE
LONGEST_TITLE = 120


class LegalForm(PortalForm):
    """Keys only: the texts are too long for a field of a line, and there is one a language."""


@legal.route("/legal/<any(terms,privacy,imprint):page>", permission=PUBLIC)
def show(page: str) -> Response:
    """A legal page in the reader's language; `?version=` shows an older one, since people agreed to it."""
    version = request.args.get("version", "")
    if version and not (version.isascii() and version.isdigit() and len(version) < 8):  # noqa: PLR2004
        abort(404)
    text = texts.text_of(page, int(version or 0))
    return render(
        "tenants/legal.html", text=text, body=texts.to_html(text.body), now=texts.current_version(page), page=page
    )


@legal_admin.route("/admin/settings/legal", methods=["GET", "POST"], permission=P)
@fresh_to_write
def edit() -> Response:
    """One page in every language of the tenant, with what was published before; POST publishes."""
    page = _page_asked()
    if reading():
        held = {code: (text.title, text.body) for code, text in texts.texts_of(page).items()}
        shown = held or drafts(page, _languages())
        return _editor(page, {code: shown.get(code, ("", "")) for code in _languages()})
    form, typed = LegalForm(), _typed()
    errors = _wrong(typed)
    if not form.validate() or errors:
        return _editor(page, typed, errors, status=422)
    before = texts.current_version(page)
    version = texts.publish(page, {code: pair for code, pair in typed.items() if pair[1]})
    hosts.forget()
    if version == before:
        flash(gettext("Nothing has changed."))
    elif page == "terms":
        flash(gettext("Version %(number)s is published. Members are asked to agree to it.", number=version))
    else:
        flash(gettext("Version %(number)s is published.", number=version))
    return redirect(url_for("legal_admin.edit", page=page), code=303)


@legal_admin.route("/admin/settings/legal/preview", methods=["POST"], permission=P)
def preview() -> Response:
    """What is typed, as people would read it; nothing is saved."""
    return _editor(_page_asked(), _typed(), fragment="legal_preview")


def _page_asked() -> str:
    page = request.values.get("page", "terms")
    if page not in texts.PAGES:
        abort(404)
    return page


def _languages() -> list[str]:
    return [code for code in g.tenant.locales if code in supported()]


def _typed() -> dict[str, tuple[str, str]]:
    return {
        code: (
            clean(request.form.get(f"title-{code}")) or "",
            texts.plain(request.form.get(f"body-{code}", "")),
        )
        for code in _languages()
    }


def _wrong(typed: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What is wrong, by field."""
    errors = {}
    for code, (title, body) in typed.items():
        if "\x00" in title or "\x00" in body:
            errors[f"body-{code}"] = gettext("This holds a character that cannot be stored.")
        elif BLANK in body:
            errors[f"body-{code}"] = gettext("Fill in or remove what stands in [[double brackets]]. It is a draft.")
        elif len(body) > texts.LONGEST:
            errors[f"body-{code}"] = gettext("At most %(most)s characters.", most=texts.LONGEST)
        elif body and not 0 < len(title) <= LONGEST_TITLE:
            errors[f"title-{code}"] = gettext("A title of 1 to %(most)s characters.", most=LONGEST_TITLE)
        elif title and not body:
            errors[f"body-{code}"] = gettext("Write the text, or empty the title.")
    first = g.tenant.default_locale
    if not errors and not typed.get(first, ("", ""))[1]:
        errors[f"body-{first}"] = gettext("The text is needed in %(language)s at least.", language=language_name(first))
    return errors


def _editor(
    page: str,
    typed: dict[str, tuple[str, str]],
    errors: dict[str, str] | None = None,
    *,
    status: int = 200,
    fragment: str = "main",
) -> Response:
    typed = {code: (title.replace("\x00", ""), body.replace("\x00", "")) for code, (title, body) in typed.items()}
    shown: list[Any] = [(code, title, texts.to_html(body)) for code, (title, body) in typed.items() if body]
    return render(
        "tenants/legal_edit.html",
        fragment=fragment,
        form=LegalForm(),
        page=page,
        typed=typed,
        errors=errors or {},
        shown=shown,
        versions=texts.versions(page),
        now=texts.current_version(page),
        pages=texts.PAGES,
        page_name=texts.page_name,
        status=status,
    )
