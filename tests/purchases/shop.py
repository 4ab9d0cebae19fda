"""Ringing things up in tests."""

from itertools import count

from sqlalchemy import func, select, text

from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.outbox import OutboxMessage
from portal.purchases.models import Purchase, PurchaseRefund
from portal.purchases.service import record_purchase
from portal.wallets.models import LedgerEntry, LedgerTransaction, Lot, WalletAccount
from tests.cast import ALICE, CAFE, CIRCLE

_keys = count(1)


def buy(amount=100_000, *, member=ALICE, shop=CAFE, key=None, **more):
    """A purchase of `amount` kopecks by Alice at the café; returns its outcome."""
    options = {"source": "till", "external_id": key or f"k-{next(_keys)}", **more}
    return record_purchase(business_id=shop.id, member_id=member.id, amount=amount, **options)


def seeded(sql, **values):
    """Change what no service changes; `:t` is the tenant."""
    from flask import g

    g.seeding = True
    db.session.execute(text(sql), {"t": CIRCLE.id, **values})
    db.session.commit()
    g.seeding = False


def set_shop(shop=CAFE, **columns):
    """Change a shop's settings behind its owner's back."""
    names = ", ".join(f"{name} = :{name}" for name in columns)
    seeded(f"UPDATE businesses SET {names} WHERE tenant_id = :t AND id = :id", id=shop.id, **columns)


def counted():
    """How many rows each table of the main job has."""
    models = (Purchase, PurchaseRefund, LedgerTransaction, LedgerEntry, Lot, OutboxMessage, AuditEntry)
    return {m.__tablename__: db.session.scalar(select(func.count()).select_from(m)) for m in models}


def balance(member=ALICE):
    return (
        db.session.scalar(
            select(WalletAccount.posted).where(WalletAccount.owner_id == member.id, WalletAccount.type == "bonus")
        )
        or 0
    )


def books_agree():
    """I1 to I4 and property 1: entries sum to zero, a balance is its lots and its entries, nothing is below zero."""
    wrong = db.session.execute(
        text("""
        SELECT (SELECT count(*) FROM (SELECT transaction_id FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0) z) AS unbalanced,
               (SELECT count(*) FROM wallet_accounts a WHERE NOT lazy AND (
                    posted <> (SELECT coalesce(sum(amount), 0) FROM ledger_entries e WHERE e.account_id = a.id)
                 OR (type = 'bonus' AND posted <> (SELECT coalesce(sum(remaining), 0) FROM lots l WHERE l.account_id = a.id) - debt)
                 OR posted < 0)) AS off""")
    ).one()
    assert tuple(wrong) == (0, 0)
