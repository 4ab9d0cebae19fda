"""The forms of businesses, staff and keys."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import Form, FormField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional, Regexp

from portal.kernel.authz import BUSINESS_ROLES, Permission
from portal.kernel.model import I18n
from portal.partners.keys import SCOPES
from portal.web.forms import REQUIRED, CleanTexts, PortalForm, WholeField, no_nul
from portal.web.locale import offered

CONFIRMATIONS = ("none", "card_scan", "code")
DAYS = (
    SelectChoice("0", _l("for ever")),
    SelectChoice("30", _l("30 days")),
    SelectChoice("90", _l("90 days")),
    SelectChoice("365", _l("a year")),
)


class AboutForm(Form):
    """What a business says of itself, a field a language."""

    class Meta(CleanTexts):
        """A form inside another has a Meta of its own."""

    en = TextAreaField(_l("English"), [Optional(), no_nul, Length(max=2000)])
    ru = TextAreaField(_l("Russian"), [Optional(), no_nul, Length(max=2000)])


class BusinessForm(PortalForm):
    """A business; its address in the portal is set once."""

    name = StringField(_l("Name"), [DataRequired(REQUIRED), no_nul, Length(max=120)])
    slug = StringField(
        _l("Address in the portal"),
        [
            DataRequired(REQUIRED),
            no_nul,
            Regexp(
                r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
                message=_l("Small Latin letters, digits and hyphens, such as corner-cafe."),
            ),
        ],
    )
    category = StringField(_l("Kind of business"), [Optional(), no_nul, Length(max=60)])
    address = StringField(_l("Street address"), [Optional(), no_nul, Length(max=300)])
    about = FormField(AboutForm)
    max_bonus_share = WholeField(
        _l("Largest share of a bill payable with bonus, %"),
        [InputRequired(REQUIRED), NumberRange(0, 100, _l("A number from 0 to 100."))],
        default=50,
    )
    spend_confirmation = SelectField(
        _l("What a member shows to pay with bonus"),
        choices=[
            SelectChoice("card_scan", _l("the card, scanned")),
            SelectChoice("code", _l("a code from the phone")),
            SelectChoice("none", _l("nothing")),
        ],
        default="card_scan",
    )

    def values(self, before: I18n | None = None) -> dict[str, Any]:
        """What the service takes, without the slug. A text in a language that the form does not show stays as it was."""
        texts = {**(before or {}), **{code: (self.about.form[code].data or "").strip() for code in offered()}}
        about = I18n({code: text for code, text in texts.items() if text})
        return {
            "name": self.name.data,
            "category": self.category.data or "",
            "address": self.address.data or "",
            "description_i18n": about,
            "max_bonus_share": self.max_bonus_share.data,
            "spend_confirmation": self.spend_confirmation.data,
        }


class ReasonForm(PortalForm):
    """Why."""

    reason = StringField(_l("Reason"), [DataRequired(REQUIRED), no_nul, Length(max=300)])


class PlaceForm(PortalForm):
    """A place of a business."""

    name = StringField(_l("Name of the place"), [DataRequired(REQUIRED), no_nul, Length(max=120)])
    address = StringField(_l("Street address"), [Optional(), no_nul, Length(max=300)])


class StaffForm(PortalForm):
    """A post for a member, who is named exactly."""

    who = StringField(_l("Member’s e-mail, phone or card"), [DataRequired(REQUIRED), no_nul, Length(max=200)])
    role = SelectField(_l("Role"))
    location_id = SelectField(_l("Place"), default="")

    def __init__(self, places: Sequence[Any], own: Sequence[Any] = (), *args: Any, **kwargs: Any) -> None:
        """`own` are the circle's own roles at a business, with `id` and `name`."""
        super().__init__(*args, **kwargs)
        self.places, self.own = places, own
        self.role.choices = [
            *(SelectChoice(role, role_name(role)) for role in BUSINESS_ROLES),
            *(SelectChoice(str(one.id), one.name) for one in own),
        ]
        self.location_id.choices = [
            SelectChoice("", gettext("every place")),
            *(SelectChoice(str(p.id), p.name) for p in places),
        ]

    @property
    def own_role(self) -> UUID | None:
        """The chosen role of the circle's own; None for a frozen one."""
        return None if self.role.data in BUSINESS_ROLES else UUID(self.role.data)

    @property
    def place(self) -> UUID | None:
        """The chosen place; None for all of them."""
        return UUID(self.location_id.data) if self.location_id.data else None


class KeyForm(PortalForm):
    """A key for a till or a program."""

    name = StringField(_l("What uses it"), [DataRequired(REQUIRED), no_nul, Length(max=80)])
    scopes = SelectMultipleField(_l("What it may do"), validators=[DataRequired(_l("Tick at least one."))])
    days = SelectField(_l("How long"), choices=list(DAYS), default="0")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scopes.choices = [SelectChoice(str(scope), scope_name(scope)) for scope in sorted(SCOPES)]


def scope_name(scope: Permission | str) -> str:
    """A permission in words."""
    names = {
        "members.find": gettext("find a member"),
        "members.create": gettext("enrol a member"),
        "purchases.create": gettext("record purchases"),
        "purchases.read": gettext("read purchases"),
        "purchases.refund": gettext("give refunds"),
        "purchases.import": gettext("record older purchases"),
    }
    return names.get(str(scope), str(scope))


def role_name(role: str) -> str:
    """A business role in words."""
    return {"cashier": gettext("Cashier"), "manager": gettext("Manager"), "owner": gettext("Owner")}.get(role, role)


def role_note(role: str) -> str:
    """What a business role may do."""
    return {
        "cashier": gettext("Works the till: finds and enrols members, takes payments, gives refunds."),
        "manager": gettext("All that, and the desk: figures, purchases with their file, imports."),
        "owner": gettext("All that, and names the staff and the API keys. There is always one."),
    }[role]
