"""The form of a tenant's settings."""

from typing import Any
from zoneinfo import available_timezones

from flask_babel import lazy_gettext as _l
from wtforms import FloatField, IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange

from portal.web.forms import REQUIRED, PortalForm, no_nul

LANGUAGES = [SelectChoice("en", "English"), SelectChoice("ru", "Русский")]


class SettingsForm(PortalForm):
    """Name, time, languages, brand."""

    name = StringField(_l("Name"), [DataRequired(REQUIRED), no_nul, Length(max=60)])
    timezone = SelectField(
        _l("Time zone"),
        choices=[
            SelectChoice(z, z.replace("_", " ")) for z in sorted(available_timezones()) if "/" in z and not z.startswith("Etc")
        ],
    )
    locales = SelectMultipleField(
        _l("Languages"), choices=LANGUAGES, validators=[DataRequired(_l("Choose at least one."))]
    )
    default_locale = SelectField(_l("First language"), choices=LANGUAGES)
    hue = FloatField(_l("Hue, 0 to 360"), [InputRequired(REQUIRED), NumberRange(0, 360)])
    chroma = FloatField(_l("Strength, 0 to 0.2"), [InputRequired(REQUIRED), NumberRange(0, 0.2)])
    lightness = FloatField(_l("Lightness, 20 to 70"), [InputRequired(REQUIRED), NumberRange(20, 70)])
    mark = SelectField(_l("Mark"), choices=[SelectChoice("ring", _l("Ring")), SelectChoice("waves", _l("Waves"))])

    def brand(self) -> dict[str, Any]:
        """The brand as stored."""
        return {
            "hue": self.hue.data,
            "chroma": self.chroma.data,
            "lightness": self.lightness.data,
            "mark": self.mark.data,
        }


class ClockForm(PortalForm):
    """How far a sandbox's clock moves."""

    days = IntegerField(_l("Days forward"), [InputRequired(REQUIRED), NumberRange(1, 400)])
