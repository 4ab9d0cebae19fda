"""The forms of leaving."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, TextAreaField
from wtforms.validators import DataRequired, Length

from portal.web.forms import REQUIRED, PortalForm, no_nul


class LeaveForm(PortalForm):
    """The last question before one's own account goes."""

    sure = BooleanField(_l("I understand that nobody can bring this back"), [DataRequired(REQUIRED)])


class EraseForm(LeaveForm):
    """The same for somebody else's account, with a reason."""

    reason = TextAreaField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=300)], render_kw={"rows": 2})
