"""Who brought whom: one code a member, kept from the link through joining."""

import re
import secrets
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.identity import sessions
from portal.identity.models import Referral, ReferralCode, User
from portal.identity.queries import whose
from portal.kernel.commands import command, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that looks like something else
LENGTH = 8
ASKED = "referral"  # where the browser's session keeps the code of the link, whichever way its holder joins


def clean(text: str | None) -> str:
    """The code as it is stored, or nothing when it cannot be one."""
    code = (text or "").strip().upper()
    return code if re.fullmatch(f"[{ALPHABET}]{{{LENGTH}}}", code) else ""


def code_of(member_id: UUID) -> str | None:
    """The member's code; None until they ask for one."""
    return db.session.scalar(select(ReferralCode.code).where(ReferralCode.member_id == member_id))


@command("referral.create_code")
def create_code(member_id: UUID) -> str:
    """The member's code, made the first time."""
    journal().about("member", member_id)
    while (found := code_of(member_id)) is None:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        values = {"tenant_id": current_tenant_id(), "id": new_id(), "member_id": member_id, "code": code}
        db.session.execute(
            insert(ReferralCode).values(**values, created_at=sessions.real_now()).on_conflict_do_nothing()
        )
    return found


def keep(member_id: UUID, code: str) -> None:
    """Note who brought a newcomer, inside the command that makes them; a code of nobody is let go."""
    row = (
        select(func.coalesce(User.merged_into, User.id))
        .select_from(ReferralCode)
        .join(User, (User.tenant_id == ReferralCode.tenant_id) & (User.id == ReferralCode.member_id))
    )
    referrer = db.session.scalar(
        row.where(ReferralCode.code == clean(code), User.archived_at.is_(None), User.suspended_at.is_(None))
    )
    if referrer and referrer != member_id:
        db.session.add(
            Referral(member_id=member_id, referrer_id=referrer, code=clean(code), created_at=sessions.real_now())
        )


def brought(member_id: UUID) -> int:
    """How many came by this member's code."""
    return (
        db.session.scalar(select(func.count()).select_from(Referral).where(whose(Referral.referrer_id, member_id))) or 0
    )
