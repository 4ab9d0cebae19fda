"""The form of the operator's door."""

from flask_babel import lazy_gettext as _l
from wtforms import HiddenField, StringField
from wtforms.validators import DataRequired, Length

from portal.identity.forms import SecretField
from portal.web.forms import REQUIRED, PortalForm, no_nul


class OperatorForm(PortalForm):
    """Who runs the installation."""

    email = StringField(
        _l("E-mail"),
        [DataRequired(REQUIRED), no_nul, Length(max=254)],
        render_kw={"autocomplete": "username", "inputmode": "email"},
    )
    password = SecretField(_l("Password"), [DataRequired(REQUIRED)], render_kw={"autocomplete": "current-password"})
    next = HiddenField()
