"""The till's and the desk's forms."""

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, SelectField, StringField, TelField
from wtforms.validators import DataRequired, InputRequired, Length

from portal.purchases import labels
from portal.web.forms import REQUIRED, AmountField, AmountRequired, PortalForm, no_nul


class PurchaseForm(PortalForm):
    """A bill. `seen` is the till's note that the card was at hand, `shown` the sum that the cashier saw."""

    member_id = HiddenField()
    amount = AmountField(_("Bill"), [AmountRequired()])
    receipt_number = StringField(_("Receipt number"), [Length(max=100), no_nul])
    bonus = HiddenField(default="none")
    code = StringField(_("Code from the member's phone"), [Length(max=12), no_nul])
    seen = HiddenField()
    shown = HiddenField()
    again = HiddenField()


class EnrolForm(PortalForm):
    """A new member in ten seconds."""

    name = StringField(_("Name"), [DataRequired(REQUIRED), Length(max=200), no_nul])
    phone = TelField(_("Phone"), [DataRequired(REQUIRED), Length(max=40), no_nul])
    consent = BooleanField(
        _("The person agrees to join and to the rules of the programme"),
        [InputRequired(_("Ask first: nobody joins without agreeing."))],
    )


class UndoForm(PortalForm):
    """Why a purchase is taken back."""

    reason = SelectField(_("What went wrong?"), [DataRequired(REQUIRED)])

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.reason.choices = labels.undo_reasons()


class RefundForm(PortalForm):
    """Money going back, in part or in full."""

    amount = AmountField(_("Amount to give back"), [AmountRequired()])
    reason = StringField(_("Reason"), [DataRequired(REQUIRED), Length(max=500), no_nul])
