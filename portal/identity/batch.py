"""Members in bulk, as imports bring them: a few statements for a thousand (D5, D28)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from portal.extensions import db
from portal.identity import cards, queries, words
from portal.identity.events import MembersImported
from portal.kernel.commands import command, emit, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.tenants.limits import keep_within

_INSERT = text("""
INSERT INTO users (tenant_id, id, name, email, phone, search_text, card_number, joined_at, joined_via)
SELECT :tenant, n.id, n.name, n.email, n.phone, n.search_text, n.card, n.joined_at, :via
  FROM jsonb_to_recordset(cast(:rows AS jsonb))
       AS n (id uuid, name text, email text, phone text, search_text text, card text, joined_at timestamptz)
 ORDER BY n.id
ON CONFLICT DO NOTHING RETURNING id""")
_WORDS = text("""
INSERT INTO member_words (tenant_id, word, member_id)
SELECT :tenant, w.word, w.member_id FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS w (word text, member_id uuid)
ON CONFLICT DO NOTHING""")


class Taken(Exception):
    """A card or contact of one of them was taken a moment ago: look again and repeat."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A member to be; contacts and card are clean already, an empty card means a new one."""

    name: str
    joined_at: datetime
    card: str = ""
    phone: str = ""
    email: str = ""


@command("member.register_batch")
def register_members(people: Sequence[Newcomer], *, joined_via: str) -> list[UUID]:
    """Make the members, in order; nobody is welcomed by mail, since they joined before. Raises `Taken`."""
    keep_within("members", queries.how_many, len(people))
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for person in people:
        member_id, card = new_id(), person.card or cards.new_card_number()
        phone, email = person.phone or None, person.email or None
        rows.append(
            {
                "id": member_id, "name": person.name, "email": email, "phone": phone, "card": card,
                "search_text": words.folded(person.name), "joined_at": person.joined_at,
            }
        )  # fmt: skip
        found += [{"word": word, "member_id": member_id} for word in words.of_member(person.name, card, phone, email)]
    if not rows:
        return []
    tenant = current_tenant_id()
    made = db.session.execute(_INSERT, {"tenant": tenant, "via": joined_via, "rows": to_json(rows).decode()}).all()
    if len(made) != len(rows):
        raise Taken
    db.session.execute(_WORDS, {"tenant": tenant, "rows": to_json(found).decode()})
    journal().note("users", joined_via, {"registered": [None, len(rows)]})
    ids: list[UUID] = [row["id"] for row in rows]
    emit(MembersImported(first_id=min(ids), last_id=max(ids), count=len(ids), joined_via=joined_via), historical=True)
    return ids
