"""The forms by which staff put a member's balance or tier right."""

from datetime import date
from typing import Any

from flask import g
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import DateField, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from portal.kernel import clock
from portal.web.forms import REQUIRED, AmountField, AmountRequired, PortalForm, no_nul
from portal.web.locale import current as locale


def _reason() -> StringField:
    return StringField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=300)], render_kw={"maxlength": 300})


class AdjustmentForm(PortalForm):
    """Bonus given or taken by hand."""

    way = SelectField(_l("What to do"), [DataRequired(REQUIRED)])
    amount = AmountField(_l("Amount"), [AmountRequired()])
    reason = _reason()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.way.choices = [("give", gettext("Give bonus")), ("take", gettext("Take bonus"))]

    def signed(self) -> int:
        """Minor units, below zero when they are taken."""
        minor: int = self.amount.data or 0
        return -minor if self.way.data == "take" else minor


class TierForm(PortalForm):
    """A tier set by hand, and until when nothing moves it."""

    tier = SelectField(_l("Tier"), [DataRequired(REQUIRED)])
    locked_until = DateField(_l("Keep until"), [Optional()])
    reason = _reason()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from portal.loyalty.queries import tiers

        super().__init__(*args, **kwargs)
        self.tier.choices = [(tier.code, tier.name_i18n.in_(locale())) for tier in tiers()]

    def validate_locked_until(self, field: DateField) -> None:
        today: date = clock.today(g.tenant.timezone)
        if field.data and field.data < today:
            raise ValidationError(gettext("Choose today or a later day."))
