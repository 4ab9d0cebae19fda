"""The forms of a member's profile."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, DateField, FloatField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from portal.profiles.service import SHOWN
from portal.web.forms import REQUIRED, PortalForm, no_nul

LONGEST, LONGEST_ABOUT = 80, 500


def _words() -> dict[str, Any]:
    return {
        "avatar": _l("My picture"),
        "tier": _l("My tier"),
        "since": _l("Since when I am here"),
        "about": _l("A few words about me"),
    }


class AboutForm(PortalForm):
    """Names, birthday, the public page and what it shows."""

    first_name = StringField(_l("First name"), [Optional(), no_nul, Length(max=LONGEST)])
    last_name = StringField(_l("Last name"), [Optional(), no_nul, Length(max=LONGEST)])
    display_name = StringField(_l("Name that others see"), [Optional(), no_nul, Length(max=LONGEST)])
    born_on = DateField(_l("Birthday"), [Optional()], render_kw={"autocomplete": "bday"})
    birthday_shared = BooleanField(_l("Shops where I buy may see the day, without the year"))
    about = TextAreaField(
        _l("A few words about me"), [Optional(), no_nul, Length(max=LONGEST_ABOUT)], render_kw={"rows": 3}
    )
    public = BooleanField(_l("I have a public page"))
    handle = StringField(
        _l("Address of the page"),
        [Optional(), no_nul, Length(max=32)],
        render_kw={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"},
    )
    shows = SelectMultipleField(
        _l("It shows"), choices=[SelectChoice(name, word) for name, word in _words().items()], validators=[Optional()]
    )

    def refuse(self, error: Any) -> None:
        """Show a refusal of the service on its field."""
        name = {"profile.birthday_refused": "born_on"}.get(error.code, "handle")
        self[name].errors = [error.message]


class BirthdayForm(PortalForm):
    """A birthday put right by staff."""

    born_on = DateField(_l("Birthday"), [Optional()])
    reason = StringField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=300)], render_kw={"maxlength": 300})


class PartForm(PortalForm):
    """Which square of the picture is kept, as shares; without JavaScript the middle."""

    x = FloatField(default=0.5, validators=[Optional(), NumberRange(0, 1)])
    y = FloatField(default=0.5, validators=[Optional(), NumberRange(0, 1)])
    side = FloatField(default=1.0, validators=[Optional(), NumberRange(0.05, 1)])


assert set(_words()) == set(SHOWN)  # noqa: S101  one list in two places
