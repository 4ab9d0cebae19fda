"""B1 for every money and quantity field of the pages: the fields are found in the forms, so that a new one cannot be forgotten.

Seen red with WTForms' own IntegerField, which reads `1_000`, `+1`, `١٢` and `１２` as numbers.
"""

from importlib import import_module
from pkgutil import walk_packages

import pytest
from markupsafe import escape
from wtforms import DecimalField, FloatField, Form, IntegerField

import portal
from portal.loyalty.forms import RateField
from portal.web.forms import AmountField, PortalForm, WholeField
from tests.api.test_every_number import rows
from tests.cast import ALICE, BOB, CAFE, CAROL, CIRCLE, FRANK, OLGA
from tests.loyalty.test_admin import CHOSEN, TIERS
from tests.purchases.shop import buy

NEVER = [
    "NaN", "sNaN", "Infinity", "-Infinity", "-0", "-1", "+1", "1e309", "1E+2", "0x10", "1_000", "١٢", "１２", "1.0005", "−1",
    str(2**63), str(2**64), "900000000000000000.99", "null", "[]", "{}", "true", "",
]  # fmt: skip
PROFILE = f"/admin/members/{ALICE.id}"
COLOURS = {
    "BrandForm.hue",
    "BrandForm.chroma",
    "BrandForm.lightness",
    "PartForm.x",
    "PartForm.y",
    "PartForm.side",
}  # places in a colour space and in a picture, no quantities
LEVELS = {"spend_level": "basic", "public_level": "none"}
PLACES = {  # field → who sends which form of which page, what else stands in it, and the field's name there
    "PurchaseForm.amount": (BOB, f"/till/cafe/members/{ALICE.id}", "purchase-form", {}, "amount"),
    "RefundForm.amount": (CAROL, "/desk/cafe/purchases/{sold}", "refund-form", {"reason": "Torn"}, "amount"),
    "AdjustmentForm.amount": (FRANK, PROFILE, "adjust", {"way": "give", "reason": "Goodwill"}, "amount"),
    "TiersForm.threshold": (OLGA, TIERS, "tiers-form", {**CHOSEN, "step": "save"}, "threshold_1"),
    "TiersForm.rate": (OLGA, TIERS, "tiers-form", {**CHOSEN, "step": "save"}, "rate_1"),
    "ProgramForm.expiry_count": (OLGA, TIERS, "tiers-form", {**CHOSEN, "expiry": "after", "step": "save"}, "expiry_count"),
    "BusinessForm.max_bonus_share": (OLGA, f"/admin/businesses/{CAFE.id}/edit", "business-form", {"spend_confirmation": "card_scan"}, "max_bonus_share"),
    "RulesForm.valid_months": (OLGA, "/admin/kyc/settings", "kyc-rules", LEVELS, "valid_months"),
    "RulesForm.purge_days": (OLGA, "/admin/kyc/settings", "kyc-rules", LEVELS, "purge_days"),
    "RulesForm.spend_free": (OLGA, "/admin/kyc/settings", "kyc-rules", LEVELS, "spend_free"),
    "ClockForm.days": (OLGA, "/admin/settings", "clock-form", {}, "days"),
}  # fmt: skip
GOOD = {"TiersForm.threshold": "5000", "PurchaseForm.amount": "100"}  # what the same form takes; 7 elsewhere
ROWS_OF_TIERS = {"TiersForm.threshold", "TiersForm.rate"}  # added to ProgramForm, one of each a tier


def forms(base=Form):
    for found in base.__subclasses__():
        if found.__module__.startswith("portal."):
            yield found
        yield from forms(found)


def test_no_field_is_forgotten():
    for module in walk_packages(portal.__path__, "portal."):
        if module.name.rpartition(".")[2] in {"forms", "views"} or ".views." in module.name:
            import_module(module.name)
    found, plain = set(), set()
    for form in {*forms(), PortalForm}:
        for name in dir(form):
            kind = getattr(getattr(form, name), "field_class", None)
            if kind is None or not issubclass(kind, AmountField | RateField | IntegerField | FloatField | DecimalField):
                continue
            (found if issubclass(kind, AmountField | RateField | WholeField) else plain).add(f"{form.__name__}.{name}")
    # TiersForm is a class of its own for every page shown; SpecimenForm is only looked at; TermsForm is the operator's.
    made = {name for name in found if name.startswith(("TiersForm.", "SpecimenForm.", "TermsForm."))}
    assert found - made == set(PLACES) - ROWS_OF_TIERS
    assert plain == COLOURS, "a number that people type is an AmountField, a RateField or a WholeField"


@pytest.mark.parametrize("field", sorted(PLACES))
def test_what_is_no_number_is_kept_as_typed_and_writes_nothing(sign_in, acting, seen_by, field):
    who, page, form, fields, name = PLACES[field]
    if "{sold}" in page:
        with acting(CIRCLE, BOB):
            page = page.format(sold=buy(100_000).purchase_id)
    client = sign_in(who)
    assert client.get(page).status_code == 200
    with seen_by(CIRCLE):
        before = rows()
    for typed in NEVER:
        if (field, typed) == ("TiersForm.rate", "1.0005"):
            continue  # a rate may be as fine as that
        answer = client.submit(page, form=form, **{**fields, name: typed})
        assert answer.status_code == 422, (typed, answer.status_code)
        assert f'value="{escape(typed)}"' in answer.text, typed
    with seen_by(CIRCLE):
        assert rows() == before
    taken = client.submit(page, form=form, **{**fields, name: GOOD.get(field, "7")})
    assert taken.status_code == 303, "what was refused above was refused for something else"
