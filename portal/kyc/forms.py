"""The forms of verification."""

from typing import Any

from babel import Locale
from flask import g
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    DateField,
    FileField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from portal.kyc import labels
from portal.kyc.rules import FEATURES, LEVELS
from portal.kyc.service import REASONS
from portal.web.forms import REQUIRED, AmountField, AmountRequired, PortalForm, WholeField, no_nul
from portal.web.locale import current

KINDS = ("passport", "id_card", "driving_licence", "residence_permit")
PICTURES = ("front", "back", "selfie", "address")
NEVER = 600


class SubmissionForm(PortalForm):
    """Who somebody is, and the pictures that prove it."""

    level = SelectField(_l("Level"))
    legal_name = StringField(_l("Name as in the document"), [DataRequired(REQUIRED), no_nul, Length(max=120)])
    born_on = DateField(_l("Date of birth"), [DataRequired(REQUIRED)], render_kw={"autocomplete": "bday"})
    country = SelectField(_l("Country of the document"))
    document_kind = SelectField(_l("Document"))
    document_number = StringField(
        _l("Number"), [DataRequired(REQUIRED), no_nul, Length(max=40)], render_kw={"autocomplete": "off"}
    )
    front = FileField(render_kw={"accept": "image/*,application/pdf"})
    back = FileField(render_kw={"accept": "image/*,application/pdf"})
    selfie = FileField(render_kw={"accept": "image/*"})
    address = FileField(render_kw={"accept": "image/*,application/pdf"})
    agreed = BooleanField(
        _l("The community may look at these pictures to verify me, and deletes them afterwards"),
        [DataRequired(REQUIRED)],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.level.choices = [SelectChoice(name, labels.level(name)) for name in LEVELS[1:]]
        self.document_kind.choices = [SelectChoice(name, labels.document_kind(name)) for name in KINDS]
        territories = Locale.parse(current()).territories
        countries = sorted((str(n), code) for code, n in territories.items() if len(code) == 2)  # noqa: PLR2004  ISO 3166
        self.country.choices = [SelectChoice(code, name) for name, code in countries]
        for field in (self.level, self.country, self.document_kind):
            field.flags.required = True  # a browser always sends one
        for name in PICTURES:
            self[name].label.text = labels.document(name)

    def refuse(self, error: Any) -> None:
        """Show a refusal of the service on its field."""
        self[error.extra.get("field") or "front"].errors = [error.message]


class DecisionForm(PortalForm):
    """A reviewer's decision."""

    valid_until = DateField(_l("Good until"), [Optional()])
    reasons = SelectMultipleField(_l("Reasons"), validators=[Optional()])
    note = TextAreaField(_l("A word to the member"), [Optional(), no_nul, Length(max=500)], render_kw={"rows": 2})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reasons.choices = [SelectChoice(name, labels.reason(name)) for name in REASONS]


class RulesForm(PortalForm):
    """The community's rules of verification."""

    enabled = BooleanField(_l("Members can be verified here"))
    four_eyes = BooleanField(_l("Two people have to approve"))
    valid_months = WholeField(
        _l("A verification is good for, months"), [InputRequired(REQUIRED), NumberRange(1, NEVER)]
    )
    purge_days = WholeField(
        _l("Documents are deleted after the decision, days"), [InputRequired(REQUIRED), NumberRange(0, 3650)]
    )
    spend_level = SelectField()
    spend_free = AmountField(_l("Without verification up to, at once"), [AmountRequired(zero=True)])
    public_level = SelectField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spend_free.currency = g.tenant.currency
        for field, name in ((self.spend_level, FEATURES[0]), (self.public_level, FEATURES[1])):
            field.label.text = labels.feature(name)
            field.flags.required = True
            field.choices = [SelectChoice(each, labels.level(each)) for each in LEVELS]
