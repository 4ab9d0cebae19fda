"""The form of the ladder: one row a tier, names in each of the tenant's languages."""

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import DateField, Field, SelectField, StringField
from wtforms.form import BaseForm
from wtforms.validators import DataRequired, Length, NumberRange, Optional, StopValidation
from wtforms.widgets import TextInput

from portal.loyalty import durations, labels
from portal.loyalty.ladder import Tier
from portal.loyalty.queries import Program
from portal.loyalty.service import TierDraft
from portal.web.forms import REQUIRED, AmountField, AmountRequired, PortalForm, WholeField, no_nul
from portal.web.template import i18n

PER_CENT = re.compile(r"(\d{1,3})(?:[.,](\d{1,6}))?\s*%?", re.ASCII)
FRACTION = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})", re.ASCII)


class RateField(Field):
    """Per cent as typed, `5`, `2,5` or `2.5 %`, or a fraction of the bill, `1/18`; `data` is exact."""

    widget = TextInput()

    def __init__(self, label: str | None = None, validators: Any = None, **kwargs: Any) -> None:
        super().__init__(label, validators, **kwargs)
        self.typed: str | None = None

    def _value(self) -> str:
        if self.typed is not None:
            return self.typed
        return "" if self.data is None else labels.rate_typed(self.data)

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if not valuelist:
            return
        self.typed = valuelist[0][:40]
        self.data = parse_rate(self.typed)

    def pre_validate(self, form: BaseForm) -> None:  # noqa: ARG002
        if self.data is None and not self.errors and not self.process_errors:
            raise StopValidation(gettext("Type the rate."))


def parse_rate(text: str) -> Fraction | None:
    """The exact rate; None for nothing typed. Raises ValueError with a text for people."""
    typed = text.strip()
    if not typed:
        return None
    if found := PER_CENT.fullmatch(typed):
        rate = Fraction(Decimal(f"{found[1]}.{found[2] or 0}")) / 100
    elif (found := FRACTION.fullmatch(typed)) and int(found[2]):
        rate = Fraction(int(found[1]), int(found[2]))
    else:
        raise ValueError(gettext("Type per cent, such as 2.5, or a fraction, such as 1/18."))
    if rate > 1:
        raise ValueError(gettext("A rate is between 0 and 100 per cent."))
    return rate


class ProgramForm(PortalForm):
    """What the whole ladder shares; `tiers_form` adds the rows."""

    period = SelectField(_("What counts"), [DataRequired(REQUIRED)])
    end_rule = SelectField(_("A tier is kept"), [DataRequired(REQUIRED)])
    downgrade = SelectField(_("If it is not reached again"), [DataRequired(REQUIRED)])
    expiry = SelectField(_("Bonus"), [DataRequired(REQUIRED)])
    expiry_count = WholeField(_("How many"), [Optional(), NumberRange(0, 3660)])
    expiry_unit = SelectField(_("Days, weeks, months or years"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.period.choices, self.end_rule.choices = labels.periods(), labels.end_rules()
        self.downgrade.choices = labels.downgrades()
        self.expiry.choices = [
            ("unlimited", gettext("never burns")),
            ("after", gettext("burns so long after it was given")),
            ("end", gettext("burns at the end of that day, week, month or year")),
        ]
        self.expiry_unit.choices = [
            ("D", gettext("days")),
            ("W", gettext("weeks")),
            ("M", gettext("months")),
            ("Y", gettext("years")),
        ]

    def validate_expiry(self, field: Any) -> None:
        if field.data != "unlimited" and self.expiry_count.data is None:
            raise StopValidation(gettext("Say how many."))
        try:
            durations.parse(self.bonus_expiry)
        except durations.DurationError as error:
            raise StopValidation(error.message) from error

    @property
    def bonus_expiry(self) -> str:
        """The duration of LOY-4 that the three fields say."""
        if self.expiry.data == "unlimited":
            return "unlimited"
        end = "_U" if self.expiry.data == "end" else ""
        return f"{self.expiry_count.data or 0}{self.expiry_unit.data}{end}"

    def drafts(self, tiers: Sequence[Tier], locales: Sequence[str]) -> list[TierDraft]:
        """The tiers as typed."""
        return [
            TierDraft(
                tier.code,
                {**tier.name_i18n, **{code: self[f"name_{n}_{code}"].data or "" for code in locales}},
                int(self[f"threshold_{n}"].data or 0),
                self[f"rate_{n}"].data,
            )
            for n, tier in enumerate(tiers)
        ]


def program_form(program: Program, locales: Sequence[str]) -> ProgramForm:
    """The form of this program, filled from it or from what was sent; each field is named by its tier, since all stand in one list."""
    parts: dict[str, Any] = {}
    for n, tier in enumerate(program.rules.tiers):
        name = i18n(tier.name_i18n)
        for code in locales:
            first = code == locales[0]
            checks = [DataRequired(REQUIRED)] if first else []
            parts[f"name_{n}_{code}"] = StringField(
                gettext("Name of %(tier)s in %(language)s", tier=name, language=code.upper()),
                [*checks, Length(max=60), no_nul],
            )
        parts[f"threshold_{n}"] = AmountField(
            gettext("%(tier)s from", tier=name), [AmountRequired(zero=n == 0)], currency=program.currency
        )
        parts[f"rate_{n}"] = RateField(gettext("Bonus of %(tier)s in per cent", tier=name))
    duration = durations.parse(program.bonus_expiry)
    data: dict[str, Any] = {
        "period": program.rules.calendar.period,
        "end_rule": program.rules.end_rule,
        "downgrade": program.rules.downgrade,
        "expiry": "unlimited" if duration.word else "end" if duration.rounding == "U" else "after",
        "expiry_count": duration.count if not duration.word else None,
        "expiry_unit": duration.unit or "M",
    }
    for n, tier in enumerate(program.rules.tiers):
        data |= {f"name_{n}_{code}": tier.name_i18n.get(code, "") for code in locales}
        data |= {f"threshold_{n}": tier.threshold, f"rate_{n}": tier.rate}
    made: ProgramForm = type("TiersForm", (ProgramForm,), parts)(data=data)
    return made


class MemberTierForm(PortalForm):
    """A tier given by hand."""

    tier = SelectField(_("Tier"), [DataRequired(REQUIRED)])
    locked_until = DateField(_("Nothing moves it before"), [Optional()])
    reason = StringField(_("Reason"), [DataRequired(REQUIRED), Length(max=500), no_nul])
