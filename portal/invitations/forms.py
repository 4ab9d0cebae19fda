"""The forms of invitations."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import BooleanField, Field, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional
from wtforms.widgets import TextArea

from portal.identity import contacts
from portal.identity.forms import SecretField
from portal.invitations.service import Guest, Offer
from portal.invitations.table import LARGEST
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES
from portal.web.forms import REQUIRED, PortalForm, clean, no_nul
from portal.web.locale import language_name, offered


class InviteForm(PortalForm):
    """Somebody to be invited as a member."""

    contact = StringField(
        _l("E-mail or phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"},
    )
    name = StringField(_l("Name"), [Optional(), no_nul, Length(max=contacts.LONGEST_NAME)])
    locale = SelectField(_l("Language of the invitation"), [Optional()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.locale.choices = [
            ("", gettext("the circle’s language")),
            *((code, language_name(code)) for code in offered()),
        ]

    @property
    def guest(self) -> Guest:
        """Who is invited."""
        return Guest(self.contact.data or "", self.name.data or "", self.locale.data or None)

    def refuse(self, error: Any) -> None:
        """Show a refusal where it belongs."""
        names = {"member.invalid_name": "name", "role.invalid": "business", "role.too_much": "role"}
        field = getattr(self, names.get(error.code, error.extra.get("field", "contact")), None) or self.contact
        field.errors = [error.message]


class PostForm(InviteForm):
    """Somebody to work at one business; `role` is a frozen one's name or the id of one of the circle's own."""

    role = SelectField(_l("Role"), choices=[])
    location_id = SelectField(_l("Place"), default="")

    def __init__(
        self, business_id: UUID, roles: Sequence[tuple[str, str]], places: Sequence[Any], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.business_id = business_id
        self.role.choices = list(roles)
        self.location_id.choices = [("", gettext("every place")), *((str(place.id), place.name) for place in places)]

    @property
    def guest(self) -> Guest:
        place = UUID(self.location_id.data) if self.location_id.data else None
        plain = super().guest
        frozen = self.role.data in BUSINESS_ROLES
        offer = Offer(
            role=self.role.data if frozen else None,
            role_id=None if frozen else UUID(self.role.data),
            business_id=self.business_id,
            location_id=place,
        )
        return Guest(plain.contact, plain.name, plain.locale, offer)


class StaffForm(InviteForm):
    """Somebody to have a role over the circle or at a business; `role` is a frozen one's name or an own one's id."""

    role = SelectField(_l("Role"), choices=[])
    business = SelectField(_l("Business, for a role at one"), default="")

    def __init__(self, roles: Sequence[tuple[str, str]], shops: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role.choices = list(roles)
        self.business.choices = [("", gettext("none")), *((str(shop.id), shop.name) for shop in shops)]

    @property
    def guest(self) -> Guest:
        plain, shop = super().guest, UUID(self.business.data) if self.business.data else None
        frozen = self.role.data in {**BUSINESS_ROLES, **TENANT_ROLES}
        offer = (
            Offer(role=self.role.data, business_id=shop)
            if frozen
            else Offer(role_id=UUID(self.role.data), business_id=shop)
        )
        return Guest(plain.contact, plain.name, plain.locale, offer)


def plain_table(text: str) -> str:
    """A table without what no page may hold (B2)."""
    return clean(text, lines=True, longest=LARGEST + 1) or ""


class LinesField(Field):
    """A short table as text."""

    widget = TextArea()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.type = "TextAreaField"  # pages show it as one

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = plain_table(valuelist[0]) if valuelist else ""

    def _value(self) -> str:
        return (self.data or "").replace("\x00", "")


class TableForm(PortalForm):
    """A list of people: a file, or its lines typed; what was read is sent along to be invited."""

    file = FileField(_l("File"))
    text = LinesField(
        _l("Or the lines themselves"),
        [Optional(), no_nul, Length(max=LARGEST)],
        render_kw={"rows": 6, "spellcheck": "false"},
    )


class SignInForm(PortalForm):
    """Where a member without a way in can be reached."""

    contact = StringField(
        _l("E-mail or phone"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_EMAIL)],
        render_kw={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"},
    )


class AcceptForm(PortalForm):
    """Coming by an invitation: a name, a password if one likes, consents."""

    name = StringField(
        _l("Name"),
        [DataRequired(REQUIRED), no_nul, Length(max=contacts.LONGEST_NAME)],
        render_kw={"autocomplete": "name", "maxlength": contacts.LONGEST_NAME},
    )
    password = SecretField(_l("Password"), render_kw={"autocomplete": "new-password"})
    agreed = BooleanField(_l("I agree that my purchases are counted here to give me bonus"), [DataRequired(REQUIRED)])
    marketing = BooleanField(_l("Tell me about news and offers too; I can stop it in one tap"))

    def narrow(self, *, named: bool, plain: bool) -> None:
        """Leave out what is known: the name of who is a member, everything of who signs in already (`plain`)."""
        for name in ("name",) if named and not plain else ("name", "password", "agreed", "marketing") if plain else ():
            del self[name]

    def refuse(self, error: Any) -> bool:
        """Show a refusal at its field; False when it has none."""
        field = {"member.invalid_name": self.name, "member.weak_password": self.password}.get(error.code)
        if field is not None:
            field.errors = [error.message]
        return field is not None
