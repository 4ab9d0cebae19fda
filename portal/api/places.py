"""A business's places, by the name or id that a till sends."""

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.kernel.errors import PortalError
from portal.partners.models import BusinessLocation


class PlaceUnknown(PortalError):
    """The business has no such place."""

    code = "purchase.location_unknown"


def place_named(business_id: UUID, name: str) -> UUID:
    """The place's id. Raises `PlaceUnknown`."""
    statement = select(BusinessLocation.id).where(
        BusinessLocation.business_id == business_id, BusinessLocation.archived_at.is_(None)
    )
    try:
        found = db.session.scalar(statement.where(BusinessLocation.id == UUID(name)))
    except ValueError:
        found = db.session.scalar(statement.where(BusinessLocation.name == name))
    if found is None:
        raise PlaceUnknown(gettext("Your business has no place of this name."), field="location")
    return found
