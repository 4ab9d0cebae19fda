"""Whether a member may be told something, and what they chose (NTF-1)."""

from collections.abc import Mapping
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.kernel.commands import command, journal
from portal.kernel.model import new_id
from portal.kernel.suppression import suppressed
from portal.kernel.tenancy import current_tenant_id
from portal.messages.models import NotificationPreference
from portal.messages.workflows import EMAIL, EVERYTHING, WORKFLOWS, wanted
from portal.settings import settings


def may_send(member_id: UUID, workflow: str, channel: str) -> str | None:
    """Why this member is not told of this on this channel, or None: suppression first, then their choice (NTF-1).

    The one question before anything leaves the house; `inbox.tell` asks the same of many members in one statement.
    """
    if reason := suppressed(member_id, WORKFLOWS[workflow].purpose):
        return reason
    return None if wanted(workflow, channel, chosen_by(member_id)) else "switched_off"


def chosen_by(member_id: UUID) -> dict[tuple[str, str], bool]:
    """A member's own choices by workflow and channel."""
    rows = select(
        NotificationPreference.workflow, NotificationPreference.channel, NotificationPreference.enabled
    ).where(NotificationPreference.member_id == member_id)
    return {(row.workflow, row.channel): row.enabled for row in db.session.execute(rows)}


@command("notifications.choose")
def choose(member_id: UUID, choices: Mapping[tuple[str, str], bool]) -> None:
    """Set what a member wants to hear and where, by workflow and channel."""
    rows = [
        {
            "tenant_id": current_tenant_id(),
            "id": new_id(),
            "member_id": member_id,
            "workflow": workflow,
            "channel": channel,
            "enabled": enabled,
        }
        for (workflow, channel), enabled in choices.items()
    ]
    statement = insert(NotificationPreference).values(rows)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "member_id", "workflow", "channel"],
            set_={"enabled": statement.excluded.enabled},
        )
    )
    journal().about("member", member_id)


@command("notifications.stop_mail")
def stop_mail(member_id: UUID) -> None:
    """No mail of any kind but for safety, in one act; the inbox goes on."""
    db.session.execute(
        delete(NotificationPreference).where(
            NotificationPreference.member_id == member_id, NotificationPreference.channel == EMAIL
        )
    )
    choose(member_id, {(EVERYTHING, EMAIL): False})
    journal().about("member", member_id)


def unsubscribe_token(member_id: UUID) -> str:
    """What stands in a mail's unsubscribe address: who it is, and that we wrote it. It opens nothing else."""
    return _signer().dumps([str(current_tenant_id()), str(member_id)])


def unsubscribing(token: str) -> UUID | None:
    """The member of a token of the acting tenant, or None."""
    try:
        tenant, member = _signer().loads(token)
        return UUID(member) if tenant == str(current_tenant_id()) else None
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None


def _signer() -> URLSafeSerializer:
    config = settings()
    return URLSafeSerializer(
        [*config.SECRET_KEY_FALLBACKS, config.SECRET_KEY], salt="unsubscribe"
    )  # the last one signs
