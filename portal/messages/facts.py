"""What notices need beside the event: shops, tiers, names, in one query a batch."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import select

from portal.extensions import db
from portal.identity import cards
from portal.identity.models import User
from portal.kernel.outbox import Message
from portal.kyc.models import KycSubmission
from portal.loyalty.models import StatusTier
from portal.partners.models import Business


def purchase_notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Rows for `tell`: purchases and refunds with their shop's name."""
    ids = {UUID(m.data["business_id"]) for m in messages}
    shops = dict(db.session.execute(select(Business.id, Business.name).where(Business.id.in_(ids))).all())
    return [_notice(m, {**m.data, "shop": shops.get(UUID(m.data["business_id"]), "")}) for m in messages]


def tier_notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Rows for `tell`: the new tier's names and rate in per cent."""
    codes = {m.data["to_tier"] for m in messages}
    found = db.session.execute(
        select(StatusTier.code, StatusTier.name_i18n, StatusTier.rate_num, StatusTier.rate_den).where(
            StatusTier.code.in_(codes)
        )
    )
    tiers = {row.code: {"name": dict(row.name_i18n), "rate": f"{100 * row.rate_num / row.rate_den:g}"} for row in found}
    blank = {"name": {}, "rate": "0"}
    return [_notice(m, {**m.data, **tiers.get(m.data["to_tier"], blank)}) for m in messages]


def welcome_notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Rows for `tell`: the newcomer's first name and card."""
    ids = {UUID(m.data["member_id"]) for m in messages}
    people = {
        row.id: row for row in db.session.execute(select(User.id, User.name, User.card_number).where(User.id.in_(ids)))
    }
    return [
        _notice(
            m,
            {
                "first_name": who.name.split(" ")[0],
                "card": cards.shown(who.card_number),
                "tenant": g.tenant.name,
                **m.data,
            },
        )
        for m in messages
        if (who := people.get(UUID(m.data["member_id"])))
    ]


def kyc_notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Rows for `tell`: decisions on proofs of identity, with their reasons."""
    ids = {UUID(m.data["submission_id"]) for m in messages}
    found = db.session.execute(
        select(KycSubmission.id, KycSubmission.reasons, KycSubmission.note).where(KycSubmission.id.in_(ids))
    )
    told = {str(row.id): {"reasons": row.reasons, "note": row.note} for row in found}
    blank: dict[str, Any] = {"reasons": [], "note": ""}
    return [_notice(m, {**m.data, **told.get(m.data["submission_id"], blank)}) for m in messages]


def safety_notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Rows for `tell`: what became of the ways into an account; the event says it all."""
    return [_notice(m, m.data) for m in messages]


def _notice(message: Message, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "member_id": UUID(message.data["member_id"]),
        "kind": message.type,
        "dedupe_key": str(message.id),
        "data": dict(data),
        "created_at": message.occurred_at,
    }
