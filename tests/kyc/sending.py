"""A community that verifies, and what a member sends to it."""

from datetime import date
from io import BytesIO

import pytest
from PIL import Image

from portal.kyc import service
from portal.tenants import hosts
from tests.cast import ALICE, CIRCLE, OLGA

NUMBER = "45 09 123456"


def photo(exif=True):
    picture = Image.new("RGB", (900, 600), "#336699")
    data = Image.Exif()
    data[0x010E] = "GPS-CANARY"
    made = BytesIO()
    picture.save(made, "JPEG", **({"exif": data} if exif else {}))
    return made.getvalue()


def sent(member=ALICE, **more):
    """The member's next submission; returns its id."""
    return service.submit(
        member.id,
        **{
            "level": "basic",
            "legal_name": member.name,
            "born_on": date(1990, 2, 28),
            "country": "RU",
            "document_kind": "passport",
            "document_number": NUMBER,
            "documents": {"front": BytesIO(photo())},
            **more,
        },
    )


@pytest.fixture
def opened(acting):
    """The community verifies people; `opened(four_eyes=True)` sets more."""

    def opened(**more):
        with acting(CIRCLE, OLGA):
            service.set_rules({"enabled": True, **more})
        hosts.forget()

    yield opened
    hosts.forget()
