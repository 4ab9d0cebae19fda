"""The announcement on top of people's pages: an entry of `tenants.settings`."""

import hashlib
import json
from typing import Any

from flask import g, session
from flask_login import current_user

from portal.kernel import clock
from portal.web.locale import current as locale

KEY = "banner"


def banner(room: str) -> dict[str, str] | None:
    """What stands on top of a page of this room ("member", "till", "desk") today, `{text, key}`; None for nothing.

    Days are the tenant's own. Whoever closed it does not see it again while the session lasts, unless it changes.
    """
    tenant = g.get("tenant")
    if tenant is None or not current_user.is_authenticated:
        return None
    kept: dict[str, Any] = tenant.settings.get(KEY) or {}
    words: dict[str, str] = kept.get("text") or {}
    text = words.get(locale()) or words.get(tenant.default_locale)
    today = clock.today(tenant.timezone).isoformat()
    reader = "members" if room == "member" else "staff"
    if not text or kept.get("audience", "all") not in {"all", reader}:
        return None
    if today < (kept.get("from") or today) or today > (kept.get("to") or today):
        return None
    key = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
    return None if dict(session).get(KEY) == key else {"text": text, "key": key}
