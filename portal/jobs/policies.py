"""Who may see work: who started it, and who may start such work at that business."""

from typing import Any

from sqlalchemy import Select, or_, select

from portal.jobs.models import Job
from portal.kernel.authz import Permission

FOR_STAFF = {"purchases.import": Permission.IMPORTS_CREATE}


def visible_to(person: Any) -> Select[Any]:
    """The jobs that this person may follow and cancel."""
    shown = [Job.owner_id == person.id]
    for kind, permission in FOR_STAFF.items():
        if permission in person.permissions:
            shown.append(Job.kind == kind)
            continue
        shops = [post.business_id for post in person.staff if permission in post.permissions]
        shown.append((Job.kind == kind) & Job.business_id.in_(shops))
    return select(Job).where(or_(*shown))
