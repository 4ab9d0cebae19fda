"""The kinds of field that calls are made of: strict, because a till that sends something odd should hear of it."""

import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

AMOUNT = r"^[0-9]{1,15}(\.[0-9]{1,12})?$"
QUANTITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
CONTROLS = {"Cc", "Cs"}


class Body(BaseModel):
    """What a call sends: unknown fields are refused, texts are texts."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Headers(BaseModel):
    """What a call says beside its body. flask-openapi3 asks for the plain schema at every call, so it is made once."""

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """The schema of pydantic."""
        return super().model_json_schema(*args, **options) if args or options else _schema_of(cls)


@cache
def _schema_of(model: type[Headers]) -> dict[str, Any]:
    return super(Headers, model).model_json_schema()


def _stored(value: str) -> str:
    """NFC, trimmed, without control characters (B2)."""
    if any(unicodedata.category(c) in CONTROLS for c in value):
        raise ValueError("this holds a character that cannot be stored")
    return unicodedata.normalize("NFC", value).strip()


def _filled(value: str) -> str:
    if not value:
        raise ValueError("this must not be empty")
    return value


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise ValueError("write a moment with its zone, such as 2026-11-21T09:30:00Z")
    return value


def _amount(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(AMOUNT, value, re.ASCII) or value.endswith("\n"):
        raise ValueError('write an amount as a decimal string, such as "12.50"')
    return value


def _quantity(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str) or not QUANTITY.fullmatch(str(value)):
        raise ValueError('write a quantity as a whole number or a decimal string, such as "0.250"')
    return str(value)


def _flag(value: Any) -> Any:
    if value is not True and value is not False:
        raise ValueError("this is true or false")
    return value


Text = Annotated[str, StringConstraints(max_length=300), AfterValidator(_stored)]
ShortText = Annotated[str, StringConstraints(max_length=60), AfterValidator(_stored)]
Reference = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_stored), AfterValidator(_filled)
]
Named = Annotated[
    str, StringConstraints(min_length=1, max_length=300), AfterValidator(_stored), AfterValidator(_filled)
]
_AmountText = Annotated[str, StringConstraints(pattern=AMOUNT)]
Amount = Annotated[_AmountText, BeforeValidator(_amount, json_schema_input_type=_AmountText)]
Quantity = Annotated[str, BeforeValidator(_quantity, json_schema_input_type=int | str)]
Flag = Annotated[bool, BeforeValidator(_flag)]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,5}$")]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment, json_schema_input_type=datetime)]
Id = UUID
