"""The forms of people's pages."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from zoneinfo import available_timezones

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, HiddenField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length, Optional
from wtforms.widgets import PasswordInput

from portal.identity import contacts, factors, labels, passwords, rules
from portal.identity.roles import custom_roles
from portal.web.forms import REQUIRED, PortalForm, no_nul
from portal.web.locale import first_locale, language_name, offered

F = TypeVar("F", bound=PortalForm)


class SecretField(Field):
    """A password: taken exactly as typed and never sent back."""

    widget = PasswordInput()

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist[0] if valuelist else None

    def _value(self) -> str:
        return ""


def _name() -> StringField:
    return StringField(
        _l("Name"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_NAME)],
        render_kw={"autocomplete": "name", "maxlength": contacts.LONGEST_NAME},
    )


def _email() -> StringField:
    return StringField(
        _l("E-mail"),
        [Optional(), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"type": "email", "autocomplete": "email", "inputmode": "email", "maxlength": contacts.LONGEST_EMAIL},
    )


def _phone() -> StringField:
    return StringField(
        _l("Phone"),
        [Optional(), no_nul, Length(max=contacts.LONGEST_PHONE)],
        render_kw={"type": "tel", "autocomplete": "tel", "maxlength": contacts.LONGEST_PHONE},
    )


def new_password(label: str) -> SecretField:
    return SecretField(
        label, [DataRequired(REQUIRED)], render_kw={"autocomplete": "new-password", "minlength": passwords.SHORTEST}
    )


class ContactsForm(PortalForm):
    """A name and two ways to be reached; refusals of the service land on their field."""

    name = _name()
    email = _email()
    phone = _phone()

    def refuse(self, error: Any) -> None:
        """Show a named refusal where it belongs."""
        field = error.extra.get("field") or {
            "member.invalid_name": "name",
            "member.invalid_email": "email",
            "member.invalid_phone": "phone",
            "member.invalid_card": "card_number",
            "member.card_taken": "card_number",
            "member.weak_password": "password",
            "member.wrong_password": "password",
        }.get(error.code)
        target = getattr(self, field or "name", None)
        (target if target is not None else self.name).errors = [error.message]


class SignInForm(PortalForm):
    """E-mail or phone in one field: people do not remember which they gave."""

    email = StringField(
        _l("E-mail or phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = SecretField(_l("Password"), render_kw={"autocomplete": "current-password"})
    next = HiddenField()

    def validate(self, extra_validators: Any = None) -> bool:
        fine = super().validate(extra_validators)
        if not self.by_code and not self.password.data:
            self.password.errors = [REQUIRED]
            return False
        return bool(fine)

    @property
    def by_code(self) -> str:
        """The way of the code that was asked for instead of the password: code, telegram or nothing."""
        way = request.form.get("way", "")
        return way if way in {"code", "telegram"} else ""


class JoinForm(PortalForm):
    """A stranger becomes a member: a name and one contact, proved by a code; a password if they like."""

    name = _name()
    contact = StringField(
        _l("E-mail or phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )
    password = SecretField(_l("Password"), render_kw={"autocomplete": "new-password"})
    agreed = BooleanField(_l("I agree that my purchases are counted here to give me bonus"), [DataRequired(REQUIRED)])
    marketing = BooleanField(_l("Tell me about news and offers too; I can stop it in one tap"))
    ref = HiddenField()
    next = HiddenField()

    def refuse(self, error: Any) -> None:
        """Show a named refusal where it belongs."""
        names = {"member.invalid_name": "name", "member.weak_password": "password"}
        getattr(self, names.get(error.code, "contact")).errors = [error.message]


class CodeForm(PortalForm):
    """Six digits."""

    code = StringField(
        _l("Code"),
        [DataRequired(REQUIRED), no_nul, Length(max=20)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": 20},
    )


class WhoForm(PortalForm):
    """Who has forgotten the password."""

    contact = StringField(
        _l("E-mail or phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"},
    )


class ResetForm(PortalForm):
    """The new password behind a link."""

    password = new_password(_l("New password"))


class EmailForm(PortalForm):
    """Another e-mail."""

    email = StringField(
        _l("E-mail"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"type": "email", "autocomplete": "email", "inputmode": "email", "maxlength": contacts.LONGEST_EMAIL},
    )


class PhoneForm(PortalForm):
    """Another phone number."""

    phone = StringField(
        _l("Phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_PHONE)],
        render_kw={"type": "tel", "autocomplete": "tel", "maxlength": contacts.LONGEST_PHONE},
    )


class PasswordForm(PortalForm):
    """A new password, by whoever knows the old one."""

    current = SecretField(_l("Password now"), [DataRequired(REQUIRED)], render_kw={"autocomplete": "current-password"})
    new = new_password(_l("New password"))


class ProfileForm(PortalForm):
    """A member's own details; their contacts have a page of their own."""

    name = _name()
    locale = SelectField(_l("Language"), [Optional()])
    timezone = SelectField(_l("Time zone"), [Optional()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locale.flags.required = True  # a browser always sends one
        self.locale.choices = [(code, language_name(code)) for code in offered()]
        self.timezone.choices = [("", gettext("As the community")), *((name, name) for name in zones())]


class NewMemberForm(ContactsForm):
    """A member written in by staff; the card is drawn when none is given."""

    card_number = StringField(
        _l("Card number"), [Optional(), no_nul, Length(max=32)], render_kw={"inputmode": "numeric"}
    )


class ProofForm(PortalForm):
    """A factor shown: the code of an app, a recovery code, a password, or what a passkey signed."""

    way = HiddenField()
    code = StringField(
        _l("Code"),
        [Optional(), no_nul, Length(max=40)],
        render_kw={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false", "maxlength": 40},
    )
    secret = SecretField(_l("Password now"), render_kw={"autocomplete": "current-password"})
    credential = HiddenField()
    next = HiddenField()

    def __init__(self, *, way: str | None = None, offered: list[str]) -> None:
        super().__init__()
        self.offered = offered
        if self.way.data not in offered:
            self.way.data = way if way in offered else (offered[0] if offered else "")

    @property
    def typed(self) -> str:
        """What was typed for the chosen way."""
        return (self.secret.data if self.way.data == factors.PASSWORD else self.code.data) or ""

    def validate(self, extra_validators: Any = None) -> bool:
        fine = super().validate(extra_validators)
        if fine and self.way.data != factors.PASSKEY and not self.typed:
            field = self.secret if self.way.data == factors.PASSWORD else self.code
            field.errors = [str(REQUIRED)]
            return False
        return bool(fine)


class FactorRulesForm(PortalForm):
    """The roles whose people must have a second factor."""

    roles = SelectMultipleField(_l("Roles that need a second factor"), [Optional()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everybody = {"member": gettext("Every member")}
        self.roles.choices = [
            *((role, everybody.get(role) or labels.role(role)) for role in rules.ROLES),
            *((str(one.id), one.name) for one in custom_roles()),
        ]


class AppForm(PortalForm):
    """The first code of a new app."""

    code = StringField(
        _l("Code from the app"),
        [DataRequired(REQUIRED), no_nul, Length(max=12)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "maxlength": 12},
    )
    next = HiddenField()


class PasskeyForm(PortalForm):
    """A new passkey and what it is called."""

    name = StringField(
        _l("Name of the passkey"),
        [Optional(), no_nul, Length(max=factors.LONGEST_NAME)],
        render_kw={"maxlength": factors.LONGEST_NAME},
    )
    credential = HiddenField()
    next = HiddenField()


class SuspensionForm(PortalForm):
    """Why an account is stopped: the till shows it."""

    reason = TextAreaField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=300)], render_kw={"rows": 2})


class LookForm(PortalForm):
    """Why support looks through a member's eyes: the member reads it."""

    reason = StringField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=200)])


class NoteForm(PortalForm):
    """What staff writes down about a member."""

    body = TextAreaField(_l("Note"), [no_nul, Length(max=2000)], render_kw={"rows": 3})


def zones() -> list[str]:
    """Time zones by place; the old three-letter ones are left out."""
    return sorted(
        name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/"))
    )


def apart(form: F, prefix: str) -> F:
    """The form with ids of its own, for a page that has several; the names that are sent stay."""
    for field in form:
        field.id = field.label.field_id = f"{prefix}-{field.short_name}"
    return form


class RoleForm(PortalForm):
    """A role of the tenant's own."""

    permissions = SelectMultipleField(_l("What it may do"), validators=[DataRequired(_l("Tick at least one."))])

    def __init__(self, offered_permissions: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.permissions.choices = [SelectChoice(name, words) for name, words in offered_permissions]

    @property
    def name_fields(self) -> list[tuple[str, Field]]:
        """A field a language, the community's first language before the others."""
        return [(code, self[f"name_{code}"]) for code in _first_offered()]

    @property
    def names(self) -> dict[str, str]:
        """What was typed, by language."""
        return {code: field.data or "" for code, field in self.name_fields}


def role_form(
    offered_permissions: list[tuple[str, str]], names: Mapping[str, str], permissions: Iterable[str]
) -> RoleForm:
    """The form of a role with a name in each language; the first one needs it."""
    parts: dict[str, Any] = {}
    for code in _first_offered():
        rule = Optional() if parts else DataRequired(REQUIRED)
        label = f"{gettext('Name')} · {language_name(code)}"
        parts[f"name_{code}"] = StringField(label, [rule, no_nul, Length(max=60)], render_kw={"autocomplete": "off"})
    data = {f"name_{code}": names.get(code, "") for code in _first_offered()}
    form: RoleForm = type("RoleForm", (RoleForm,), parts)(
        offered_permissions, data={**data, "permissions": list(permissions)}
    )
    return form


def _first_offered() -> list[str]:
    return sorted(offered(), key=lambda code: code != first_locale())


class GrantForm(PortalForm):
    """A role for somebody, who is named exactly."""

    who = StringField(_l("Member’s e-mail, phone or card"), [DataRequired(REQUIRED), no_nul, Length(max=200)])
    role = SelectField(_l("Role"))
    business = SelectField(_l("Business, for a role at one"), default="")
    place = SelectField(_l("Place, if only one"), default="")
