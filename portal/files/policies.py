"""Who may take a file away: its owner, and whoever may see what it belongs to."""

from typing import Any

from sqlalchemy import Select, or_, select

from portal.files.models import StoredFile
from portal.kernel.authz import Permission

FOR_STAFF = {"import": Permission.IMPORTS_CREATE, "import_rejects": Permission.IMPORTS_CREATE}


def visible_to(person: Any) -> Select[Any]:
    """The files that are ready and that this person may download."""
    shown = [StoredFile.owner_id == person.id]
    for purpose, permission in FOR_STAFF.items():
        if permission in person.permissions:
            shown.append(StoredFile.purpose == purpose)
            continue
        shops = [post.business_id for post in person.staff if permission in post.permissions]
        shown.append((StoredFile.purpose == purpose) & StoredFile.business_id.in_(shops))
    return select(StoredFile).where(StoredFile.state == "ready", or_(*shown))
