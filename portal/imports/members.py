"""The members of a batch of lines: found by what names them, made where nobody is found (D26, D28)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.identity.batch import Newcomer, register_members
from portal.identity.cards import short_code
from portal.imports.rows import Buyer, Sale
from portal.kernel.commands import journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id

_BY_REF = text("""
SELECT r.ref, coalesce(u.merged_into, u.id) AS id FROM customer_refs r
  JOIN users u ON u.tenant_id = r.tenant_id AND u.id = r.member_id
 WHERE r.tenant_id = :tenant AND r.business_id = :business AND r.ref = ANY (:refs)""")
_BY_CONTACT = {
    name: text(f"""
SELECT u.{column}, coalesce(u.merged_into, u.id) AS id FROM users u
 WHERE u.tenant_id = :tenant AND u.{column} = ANY (:values)""")
    for name, column in (("card", "card_number"), ("phone", "phone"), ("email", "email"))
}
_KEEP = text("""
INSERT INTO customer_refs (tenant_id, id, business_id, ref, member_id)
SELECT :tenant, k.id, :business, k.ref, k.member_id
  FROM unnest(cast(:ids AS uuid[]), cast(:refs AS text[]), cast(:members AS uuid[])) AS k (id, ref, member_id)
 ORDER BY k.ref
ON CONFLICT (tenant_id, business_id, ref) DO NOTHING""")


@dataclass(slots=True)
class Known:
    """Who is who, from one import's batches: looking up a member twice costs nothing."""

    by_ref: dict[str, UUID] = field(default_factory=dict)
    by_contact: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def of(self, buyer: Buyer) -> UUID | None:
        """The partner's own number first, then card, phone, e-mail."""
        if buyer.ref and buyer.ref in self.by_ref:
            return self.by_ref[buyer.ref]
        for name in _BY_CONTACT:
            if (value := getattr(buyer, name)) and (name, value) in self.by_contact:
                return self.by_contact[name, value]
        return None

    def learn(self, buyer: Buyer, member_id: UUID) -> None:
        """The same person may come again in the batch, named by any of these."""
        if buyer.ref:
            self.by_ref[buyer.ref] = member_id
        for name in _BY_CONTACT:
            if value := getattr(buyer, name):
                self.by_contact.setdefault((name, value), member_id)


def members_of(business_id: UUID, sales: Sequence[Sale]) -> tuple[list[UUID], int]:
    """Inside a command: the member of each sale, and how many were made. Raises `identity.batch.Taken`."""
    known = _looked_up(business_id, [sale.buyer for sale in sales])
    missing: list[tuple[Buyer, Newcomer]] = []
    for sale in sales:
        if known.of(sale.buyer) is None:
            known.learn(sale.buyer, _placeholder(len(missing)))
            missing.append((sale.buyer, _newcomer(sale)))
    made = register_members([newcomer for _, newcomer in missing], joined_via="import")
    real = {_placeholder(n): member_id for n, member_id in enumerate(made)}
    found = []
    refs: dict[str, UUID] = {}
    for sale in sales:
        member_id = known.of(sale.buyer)
        assert member_id is not None  # noqa: S101
        found.append(real.get(member_id, member_id))
        if sale.buyer.ref:
            refs[sale.buyer.ref] = found[-1]
    _keep(business_id, refs)
    return found, len(made)


def _looked_up(business_id: UUID, buyers: Iterable[Buyer]) -> Known:
    known, tenant = Known(), current_tenant_id()
    buyers = list(buyers)
    if refs := sorted({buyer.ref for buyer in buyers if buyer.ref}):
        rows: Any = db.session.execute(_BY_REF, {"tenant": tenant, "business": business_id, "refs": refs})
        known.by_ref = {row[0]: row[1] for row in rows}
    for name, statement in _BY_CONTACT.items():
        if values := sorted({getattr(buyer, name) for buyer in buyers} - {""}):
            for value, member_id in db.session.execute(statement, {"tenant": tenant, "values": values}):
                known.by_contact[name, value] = member_id
    return known


def _keep(business_id: UUID, refs: dict[str, UUID]) -> None:
    if not refs:
        return
    db.session.execute(
        _KEEP,
        {
            "tenant": current_tenant_id(),
            "business": business_id,
            "ids": [new_id() for _ in refs],
            "refs": list(refs),
            "members": list(refs.values()),
        },
    )
    journal().note("customer_refs", business_id, {"kept": [None, len(refs)]})


def _newcomer(sale: Sale) -> Newcomer:
    buyer = sale.buyer
    name = buyer.name or buyer.ref or (buyer.card and short_code(buyer.card)) or buyer.email.partition("@")[0]
    return Newcomer(name or f"···{buyer.phone[-4:]}", sale.occurred_at, buyer.card, buyer.phone, buyer.email)


def _placeholder(n: int) -> UUID:
    """Stands for a member who is still to be made."""
    return UUID(int=n)
