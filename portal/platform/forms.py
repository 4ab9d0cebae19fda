"""The forms of the operator's room."""

from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional, StopValidation

from portal.identity.contacts import InvalidEmail, clean_email
from portal.identity.forms import SecretField
from portal.kernel import money
from portal.kernel.primaries import names
from portal.settings import MAIN
from portal.tenants.forms import ZONES
from portal.tenants.limits import LIMITS
from portal.tenants.starters import MODULE_WORDS, MODULES, STARTERS
from portal.web.forms import REQUIRED, PortalForm, WholeField, no_nul
from portal.web.locale import language_name, supported


class OperatorForm(PortalForm):
    """Who runs the installation."""

    email = StringField(
        _l("E-mail"),
        [DataRequired(REQUIRED), no_nul, Length(max=254)],
        render_kw={"autocomplete": "username", "inputmode": "email"},
    )
    password = SecretField(_l("Password"), [DataRequired(REQUIRED)], render_kw={"autocomplete": "current-password"})
    next = HiddenField()


class TenantForm(PortalForm):
    """A new tenant: what it is called, how it counts, what it begins with, who is its first admin."""

    name = StringField(_l("Name"), [DataRequired(REQUIRED), no_nul, Length(max=60)])
    slug = StringField(_l("Address"), [DataRequired(REQUIRED), no_nul, Length(max=32)])
    starter = RadioField(
        _l("Begins with"), choices=[SelectChoice(one.code, one.label) for one in STARTERS.values()], default="shops"
    )
    currency = StringField(_l("Currency"), [DataRequired(REQUIRED), no_nul, Length(max=8)], default="EUR")
    timezone = SelectField(_l("Time zone"), choices=ZONES, default="UTC")
    locales = SelectMultipleField(
        _l("Languages"),
        choices=[SelectChoice(code, language_name(code)) for code in supported()],
        validators=[DataRequired(_l("Choose at least one."))],
        default=supported()[:1],
    )
    kind = SelectField(
        _l("Kind"), choices=[SelectChoice("live", _l("Live")), SelectChoice("sandbox", _l("Sandbox"))], default="live"
    )
    admin = StringField(
        _l("E-mail of the first admin"),
        [DataRequired(REQUIRED), no_nul, Length(max=254)],
        render_kw={"inputmode": "email", "autocomplete": "off"},
    )
    primary = SelectField(_l("PostgreSQL primary"), default=MAIN)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.primary.choices = [SelectChoice(name, name) for name in names()]
        self.primary.data = self.primary.data or MAIN
        if self.primary.raw_data is None or not self.primary.raw_data:
            self.primary.data = MAIN

    def validate_currency(self, field: Field) -> None:
        """A code that money can be counted in."""
        field.data = (field.data or "").upper()
        try:
            money.currency(field.data)
        except money.UnknownCurrency as error:
            raise StopValidation(gettext("This currency is not known. Write its code: EUR, USD, RUB.")) from error

    def validate_admin(self, field: Field) -> None:
        """An address that mail can reach."""
        try:
            field.data = clean_email(field.data)
        except InvalidEmail as error:
            raise StopValidation(error.message) from error

    def values(self) -> dict[str, Any]:
        """What was typed, as `tenants.open_one` takes it."""
        plain = ("name", "starter", "currency", "timezone", "kind", "admin", "primary")
        return {
            **{name: self[name].data for name in plain},
            "slug": (self.slug.data or "").lower(),
            "locales": tuple(self.locales.data or ()),
        }


class TermsForm(PortalForm):
    """Which modules a tenant may use, and how much of everything; an empty field is no limit."""

    modules = SelectMultipleField(
        _l("Modules"), choices=[SelectChoice(name, MODULE_WORDS[name][0]) for name in MODULES]
    )

    def limits(self) -> dict[str, int]:
        """The limits that are set."""
        return {name: self[name].data for name in LIMITS if self[name].data is not None}


for _name, _label in LIMITS.items():
    setattr(TermsForm, _name, WholeField(_label, [Optional(), NumberRange(0, 999_999_999)]))


class OwnerForm(PortalForm):
    """Who owns the tenant from now on."""

    email = StringField(
        _l("E-mail of the new owner"),
        [DataRequired(REQUIRED), no_nul, Length(max=254)],
        render_kw={"inputmode": "email", "autocomplete": "off"},
    )
    keep = BooleanField(_l("The former owner stays an admin"))


class ReasonForm(PortalForm):
    """Why a tenant is stopped; operators read it."""

    reason = TextAreaField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=500)])
