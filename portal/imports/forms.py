"""The form that starts an import."""

from flask_babel import lazy_gettext
from flask_wtf.file import FileField, FileRequired
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from portal.web.forms import PortalForm


class ImportForm(PortalForm):
    """A file and whether its sales bring bonus."""

    file = FileField(lazy_gettext("File"), validators=[FileRequired(lazy_gettext("Choose a file."))])
    accrue = SelectField(
        lazy_gettext("Bonus for these sales"),
        choices=[
            SelectChoice("as-of", lazy_gettext("Give it, dated by the sale")),
            SelectChoice("none", lazy_gettext("Give none; they only count towards the status")),
        ],
        default="as-of",
        validators=[InputRequired()],
    )
