"""Which level a member has reached, and what it unlocks (KYC-1)."""

from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, or_, select

from portal.extensions import db
from portal.identity.queries import whose
from portal.kernel import clock
from portal.kernel.errors import PortalError
from portal.kyc.models import KycSubmission
from portal.kyc.rules import reaches, rules


class LevelMissing(PortalError):
    """The member has to be verified first; `level` says how far, `free` what goes without."""

    code, status = "kyc.level_missing", 422


def level_of(member_id: UUID) -> str:
    """`none`, `basic` or `full`: the highest level that is verified and has not run out, by whichever account (D28)."""
    found = db.session.scalars(
        select(KycSubmission.level).where(
            whose(KycSubmission.member_id, member_id),
            KycSubmission.state == "verified",
            or_(KycSubmission.valid_until.is_(None), KycSubmission.valid_until >= func.date(clock.now())),
        )
    )
    return max(found, key=("basic", "full").index, default="none")


def require(member_id: UUID, feature: str, amount: int = 0) -> None:
    """Refuse what the member's level does not unlock. `amount` in minor units. Raises `LevelMissing`.

    Asks the database only where the community has a gate for this feature and the amount is above what is free.
    """
    gate = rules().gates.get(feature)
    if gate is None or gate.level == "none" or amount <= gate.free or reaches(level_of(member_id), gate.level):
        return
    raise LevelMissing(
        gettext("The member has to be verified first: “Verification” in their profile."),
        level=gate.level,
        free=gate.free,
    )
