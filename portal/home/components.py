"""What the page of components shows: one of everything, with words and figures of a shop."""

from typing import Any

from wtforms import BooleanField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from portal.web.forms import AmountField, PortalForm


class SpecimenForm(PortalForm):
    """A field of each kind."""

    name = StringField("Name", [InputRequired("Say a name.")])
    amount = AmountField("Amount")
    kind = SelectField("Kind", choices=[SelectChoice("cafe", "Café"), SelectChoice("books", "Books")])
    note = TextAreaField("Note")
    channel = RadioField("Channel", choices=[SelectChoice("mail", "Mail"), SelectChoice("sms", "SMS")], default="mail")
    agreed = BooleanField("I agree")
    en = StringField("English")
    ru = StringField("Russian")


def refused() -> SpecimenForm:
    """The same form after it was sent without a name."""
    form = SpecimenForm(formdata=None, prefix="bad")
    form.name.errors, form.amount.errors = ["Say a name."], ["Digits only, please."]
    return form


DAYS = [12, 18, 9, 22, 31, 27, 14]
ROWS: list[dict[str, Any]] = [
    {"label": f"{n} Nov", "value": value, "text": str(value), "then": value - 3, "then_text": str(value - 3)}
    for n, value in enumerate(DAYS, 1)
]
TRACE = [
    {"label": "Price", "value": "1,240.00"},
    {"label": "Goods that earn nothing", "value": "−240.00", "note": "Gift cards", "kind": "off"},
    {"label": "5% of Silver", "value": "50", "kind": "result"},
]
HEAT = [
    {"label": "Café", "cells": [None, {"value": "62%", "note": "31", "step": 7}, {"value": "18%", "step": 2}]},
    {
        "label": "Books",
        "cells": [{"value": "44%", "step": 5, "current": True}, None, {"value": "", "step": 0, "hidden": True}],
    },
]
KPIS = [
    {"label": "Sales", "value": "₽84,120", "points": DAYS, "delta": "+12%", "up": True, "note": "than last week"},
    {"label": "New members", "value": "31", "points": DAYS[::-1], "delta": "−4", "up": False},
    {"label": "Bonus spent", "value": "9.2%", "note": "of sales"},
]
TIMELINE = [
    {"title": "Purchase of ₽1,240", "when": "today, 14:02", "icon": "coin", "value": "+50", "tone": "up"},
    {"title": "Silver reached", "when": "3 November", "icon": "crown"},
]
MONTH = [
    [{"n": 1, "kind": ""}, {"n": 2, "kind": "now"}, {"n": 3, "kind": "exp", "href": "#d3", "label": "3: 120 burn"}],
    [{"n": 8, "kind": "much", "href": "#d8", "label": "8: 900 burn"}, {"n": 9, "kind": ""}, {"n": 10, "kind": ""}],
]
