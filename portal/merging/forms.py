"""The forms of merging and parting."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, HiddenField, RadioField, TextAreaField
from wtforms.validators import DataRequired, Length

from portal.web.forms import REQUIRED, PortalForm, no_nul


class MergeForm(PortalForm):
    """Which of two accounts stays, and how it is known that they are one person's."""

    stays = RadioField(_l("Which account stays"), [DataRequired(REQUIRED)])
    reason = TextAreaField(
        _l("How do you know it is one person?"),
        [DataRequired(REQUIRED), no_nul, Length(max=300)],
        render_kw={"rows": 2},
    )
    sure = BooleanField(_l("Both accounts belong to one person"), [DataRequired(REQUIRED)])


class PartForm(PortalForm):
    """Why they are two people after all."""

    reason = TextAreaField(
        _l("Why are they two people after all?"),
        [DataRequired(REQUIRED), no_nul, Length(max=300)],
        render_kw={"rows": 2},
    )


class DistinctForm(PortalForm):
    """Two who are not one person."""

    low = HiddenField()
    high = HiddenField()
