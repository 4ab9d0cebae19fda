"""Forms: checked on the server, kept as typed, sent once (B1, G6)."""

import re
import secrets
import unicodedata
from typing import Any

from flask import g, redirect, request, url_for
from flask_babel import gettext, lazy_gettext
from flask_login import current_user
from flask_wtf import FlaskForm
from flask_wtf.form import _Auto
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from werkzeug.wrappers import Response
from wtforms import Field, FileField, HiddenField, IntegerField, StringField, TextAreaField
from wtforms.validators import StopValidation
from wtforms.widgets import TextInput

from portal.kernel.errors import PortalError
from portal.kernel.money import AmountError, format_amount, parse_amount
from portal.web.locale import current as locale
from portal.web.security import SAFE

LONGEST = 10_000
ENDS = (plane * 0x10000 - n for plane in range(1, 18) for n in (1, 2))
NOT_KEPT = dict.fromkeys(  # controls but tab and line, and what is no character: no page and no workbook may hold them
    {*range(1, 0x20), *range(0x7F, 0xA0), *range(0xFDD0, 0xFDF0), *ENDS} - set(b"\t\n")
)


def clean(value: str | None, *, lines: bool = False, longest: int = LONGEST) -> str | None:
    """Typed text as it is stored: NFC, trimmed, without control characters; one line unless `lines` (B2).

    Every kind of line end counts as one: what splits lines in one program would split a header or a cell in another.
    NUL stays, for `no_nul` to refuse: PostgreSQL cannot keep it.
    """
    if value is None:
        return None
    text = unicodedata.normalize("NFC", value[:longest])
    return ("\n" if lines else " ").join(text.splitlines()).translate(NOT_KEPT).strip()


def clean_lines(value: str | None) -> str | None:
    """`clean` for texts of several lines."""
    return clean(value, lines=True)


def typed(name: str) -> str:
    """One line of a form that has no field for it, as it is stored. Raises `NotStorable`."""
    text = clean(request.form.get(name)) or ""
    if "\x00" in text:
        raise NotStorable(gettext("This holds a character that cannot be stored."))
    return text


class NotStorable(PortalError):
    """A text with NUL."""

    code = "text.not_storable"


def no_nul(_form: Any, field: Field) -> None:
    """Refuse NUL, keeping the rest as typed."""
    if field.data and "\x00" in str(field.data):
        field.data = str(field.data).replace("\x00", "")
        raise StopValidation(gettext("This holds a character that cannot be stored."))


class CleanTexts:
    """Meta of a form whose texts are kept as `clean` leaves them."""

    def bind_field(self, form: Any, unbound_field: Any, options: Any) -> Any:
        kind = unbound_field.field_class
        if issubclass(kind, StringField):
            cleaner = clean_lines if issubclass(kind, TextAreaField) else clean
            options["filters"] = [*unbound_field.kwargs.get("filters", ()), cleaner]
        return unbound_field.bind(form=form, **options)


class PortalForm(FlaskForm):
    """A form with a CSRF token and a one-time key: sending it twice is one act.

    A view asks `form.first_time(result_url)` inside its command, or lets the service use `form.key` as idempotency key.
    """

    form_key = HiddenField()

    class Meta(CleanTexts, FlaskForm.Meta):
        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """What the page's own form sends: no JSON, and a file only where the form has a field for one (B10)."""
            if formdata is not _Auto:
                return formdata
            if request.method in SAFE or not (request.form or request.files):
                return None
            wanted = {field.name for field in form if isinstance(field, FileField)}
            files = MultiDict((name, file) for name, file in request.files.items(multi=True) if name in wanted)
            return CombinedMultiDict([files, request.form])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.form_key.data or not 16 <= len(self.form_key.data) <= 64:  # noqa: PLR2004
            self.form_key.data = secrets.token_urlsafe(24)

    @property
    def key(self) -> str:
        """The one-time key of this rendering."""
        return str(self.form_key.data)

    def renew(self) -> None:
        """A fresh key, for a form shown again after it was carried out."""
        self.form_key.data = secrets.token_urlsafe(24)


class AmountField(Field):
    """Money as typed; `data` is minor units. Give `currency` at construction or set it before validation."""

    widget = TextInput()

    def __init__(self, label: str | None = None, validators: Any = None, currency: str = "", **kwargs: Any) -> None:
        super().__init__(label, validators, **kwargs)
        self.currency = currency
        self.typed: str | None = None

    def _value(self) -> str:
        if self.typed is not None:
            return self.typed
        return "" if self.data is None else format_amount(self.data, self.currency, locale(), symbol=False)

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if not valuelist:
            return
        self.typed = valuelist[0][:64]
        if not self.typed.strip():
            return
        try:
            self.data = parse_amount(self.typed, self.currency or g.tenant.currency, locale())
        except AmountError as error:
            raise ValueError(error.message) from error


class AmountRequired:
    """An amount must be there; zero only where `zero=True`."""

    field_flags = {"required": True}  # noqa: RUF012  WTForms' own protocol

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def __call__(self, _form: Any, field: Field) -> None:
        if field.data is None and not field.errors and not field.process_errors:
            raise StopValidation(gettext("Type the amount."))
        if field.data == 0 and not self.zero:
            raise StopValidation(gettext("The amount must be above zero."))


class WholeField(IntegerField):
    """A whole number in plain digits, kept as typed; what `int()` reads besides (`1_000`, `١٢`, `+1`) is refused (B1)."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist and not re.fullmatch(r"[0-9]{1,9}", valuelist[0].strip(), re.ASCII):
            self.data = None
            raise ValueError(self.gettext("Not a valid integer value."))
        super().process_formdata(valuelist)


def repeated(form: PortalForm) -> Response | None:
    """Where the first sending of this form led, if it was sent before."""
    from portal.extensions import db
    from portal.tenants.models import FormSubmission

    led = db.session.scalar(select(FormSubmission.result).where(FormSubmission.form_key == form.key))
    return redirect(led, code=303) if led else None


def remember(form: PortalForm, endpoint: str, **values: Any) -> bool:
    """Inside a command: keep where this form led. False when another request was first; the caller then raises."""
    from portal.extensions import db
    from portal.tenants.models import FormSubmission

    statement = (
        insert(FormSubmission)
        .values(tenant_id=g.tenant_id, form_key=form.key, user_id=current_user.id, result=url_for(endpoint, **values))
        .on_conflict_do_nothing()
        .returning(FormSubmission.id)
    )
    return db.session.scalar(statement) is not None


REQUIRED = lazy_gettext("Fill this in.")
