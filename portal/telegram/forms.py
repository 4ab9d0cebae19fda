"""What is typed: a bot's token; a newcomer's name and consent."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired, Length

from portal.identity.forms import SecretField
from portal.web.forms import REQUIRED, PortalForm, no_nul


class BotForm(PortalForm):
    """A bot's token, as BotFather gives it. It is never shown again."""

    token = SecretField(_l("Token from BotFather"), [DataRequired(REQUIRED)], render_kw={"autocomplete": "off"})


class NewcomerForm(PortalForm):
    """Somebody whom Telegram named, before they are a member."""

    name = StringField(
        _l("Name"), [DataRequired(REQUIRED), no_nul, Length(max=200)], render_kw={"autocomplete": "name"}
    )
    agreed = BooleanField(_l("I agree that my purchases are counted here to give me bonus"), [DataRequired(REQUIRED)])
    marketing = BooleanField(_l("Tell me about news and offers too; I can stop it in one tap"))
