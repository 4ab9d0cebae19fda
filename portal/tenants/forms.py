"""The forms of a tenant's settings."""

from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from babel import Locale
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import Field, FloatField, HiddenField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, StopValidation

from portal.tenants import brand as brands
from portal.tenants.colour import ColourError, of_hex
from portal.web.forms import REQUIRED, PortalForm, WholeField, no_nul
from portal.web.locale import current as locale
from portal.web.locale import language_name, supported

ZONES = [
    SelectChoice(zone, zone.replace("_", " "))
    for zone in sorted(available_timezones())
    if zone == "UTC" or ("/" in zone and not zone.startswith("Etc/"))
]


def a_colour(_form: Any, field: Field) -> None:
    """`#AA4422`, with or without the sign."""
    try:
        of_hex(field.data)
    except ColourError as error:
        raise StopValidation(gettext("Write a colour as # and six digits or letters from A to F: #AA4422.")) from error


class SeenForm(PortalForm):
    """Carries the version that the page showed, so that two people at once do not undo each other's work."""

    seen = HiddenField()

    @property
    def version(self) -> int | None:
        """The version that was shown; None where the form does not say."""
        typed = self.seen.data or ""
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else None  # noqa: PLR2004


class SettingsForm(SeenForm):
    """Name, time, languages, region."""

    name = StringField(_l("Name"), [DataRequired(REQUIRED), no_nul, Length(max=60)])
    timezone = SelectField(_l("Time zone"), choices=ZONES)
    locales = SelectMultipleField(
        _l("Languages"),
        choices=[SelectChoice(code, language_name(code)) for code in supported()],
        validators=[DataRequired(_l("Choose at least one."))],
    )
    default_locale = SelectField(
        _l("First language"), choices=[SelectChoice(code, language_name(code)) for code in supported()]
    )
    region = SelectField(_l("Region"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.region.choices = [SelectChoice("", gettext("the currency’s country")), *regions()]

    def validate_default_locale(self, field: Field) -> None:
        """One of the languages that are ticked."""
        if field.data not in (self.locales.data or []):
            raise StopValidation(gettext("Choose one of the languages above."))


class BrandForm(SeenForm):
    """The one colour and the mark. A colour in `hex` goes before the three numbers."""

    hue = FloatField(_l("Hue, 0 to 360"), [InputRequired(REQUIRED), NumberRange(0, 360)])
    chroma = FloatField(_l("Strength, 0 to 0.4"), [InputRequired(REQUIRED), NumberRange(0, 0.4)])
    lightness = FloatField(_l("Lightness, 0 to 100"), [InputRequired(REQUIRED), NumberRange(0, 100)])
    hex = StringField(_l("Or the colour as a designer writes it"), [Optional(), no_nul, a_colour])
    mark = SelectField(_l("Mark"), choices=[SelectChoice("ring", _l("Ring")), SelectChoice("waves", _l("Waves"))])

    def colour(self) -> brands.Colour | None:
        """The colour that was typed; None where it cannot be read."""
        if any(self[name].errors for name in ("hue", "chroma", "lightness", "hex")):
            return None
        if self.hex.data:
            return of_hex(self.hex.data)
        return brands.Colour(self.lightness.data, self.chroma.data, self.hue.data)

    def take(self, colour: brands.Colour) -> None:
        """Put a colour into the three numbers."""
        self.hue.data, self.chroma.data, self.lightness.data = colour.hue, colour.chroma, colour.lightness
        self.hue.raw_data = self.chroma.raw_data = self.lightness.raw_data = None
        self.hex.data = ""


class ClockForm(PortalForm):
    """How far a sandbox's clock moves."""

    days = WholeField(
        _l("Days forward"), [InputRequired(REQUIRED), NumberRange(1, 400, _l("A number of days from 1 to 400."))]
    )


def regions() -> list[SelectChoice]:
    """Countries by name in the reader's language: how a telephone number without a country is read."""
    names = Locale.parse(locale()).territories
    known = sorted((str(names.get(code, code)), code) for code in phonenumbers.SUPPORTED_REGIONS)
    return [SelectChoice(code, name) for name, code in known]
