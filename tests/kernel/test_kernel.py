"""What an author cannot forget: tenant, command, audit, promised events."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, text, update

from portal.extensions import db
from portal.identity.models import User
from portal.kernel.audit import AuditEntry
from portal.kernel.commands import Event, EventMissing, WriteOutsideCommand, command, emit, journal
from portal.kernel.outbox import OutboxMessage
from portal.kernel.tenancy import CrossTenantWrite, TenantMissing, tenant_scope
from portal.partners.models import Business
from tests.cast import ALICE, BOB, CAFE, CIRCLE, FOREIGN_CAFE, GLOBEX, uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Event):
    TYPE: ClassVar[str] = "business.renamed"
    AGGREGATE: ClassVar[str] = "business"

    business_id: UUID


@command("business.rename", emits=(Renamed,))
def rename(business_id, name, *, tell=True):
    shop = db.session.scalars(select(Business).where(Business.id == business_id)).one()
    shop.name = name
    if tell:
        emit(Renamed(business_id=shop.id))


def test_without_a_tenant_a_query_raises_and_raw_sql_sees_nothing(app):
    with app.app_context():
        with pytest.raises(TenantMissing):
            db.session.scalars(select(Business)).all()
        assert db.session.execute(text("SELECT count(*) FROM businesses")).scalar() == 0


def test_each_tenant_sees_its_own_rows_by_orm_and_by_raw_sql(app):
    with app.app_context():
        for tenant, shops in ((CIRCLE, {"cafe", "books"}), (GLOBEX, {"cafe"})):
            with tenant_scope(tenant.id):
                assert set(db.session.scalars(select(Business.slug))) == shops
                assert db.session.execute(text("SELECT count(*) FROM businesses")).scalar() == len(shops)
        with tenant_scope(CIRCLE.id):
            assert db.session.scalars(select(Business).where(Business.id == FOREIGN_CAFE.id)).one_or_none() is None


def test_a_change_outside_a_command_is_refused_by_orm_bulk_and_raw_sql(acting):
    with acting(CIRCLE, BOB):
        db.session.scalars(select(Business).where(Business.id == CAFE.id)).one().name = "Mine now"
        with pytest.raises(WriteOutsideCommand):
            db.session.commit()
        db.session.rollback()
        with pytest.raises(WriteOutsideCommand):
            db.session.execute(update(Business).values(name="x"))
        with pytest.raises(WriteOutsideCommand):
            db.session.execute(text("DELETE FROM businesses"))


def test_a_command_leaves_one_audit_entry_and_its_event(acting):
    with acting(CIRCLE, BOB):
        rename(CAFE.id, "New name")
        entry = db.session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.actor_id) == ("business.rename", BOB.id)
        assert entry.changes[0]["fields"]["name"] == ["Par Coffee", "New name"]
        assert db.session.scalars(select(OutboxMessage.type)).all() == ["business.renamed"]


def test_a_promised_event_that_was_not_emitted_undoes_the_command(acting):
    with acting(CIRCLE, BOB):
        with pytest.raises(EventMissing):
            rename(CAFE.id, "New name", tell=False)
        assert db.session.scalar(select(Business.name).where(Business.id == CAFE.id)) == "Par Coffee"
        assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_personal_values_do_not_enter_the_audit_log(acting):
    @command("member.call")
    def call(name):
        db.session.scalars(select(User).where(User.id == ALICE.id)).one().name = name

    with acting(CIRCLE, BOB):
        call("Secret Person")
        entry = db.session.scalars(select(AuditEntry)).one()
        assert entry.changes[0]["fields"]["name"] == {"changed": True}
        assert "Secret" not in str(entry.changes)


def test_a_command_inside_a_command_joins_it_and_keeps_its_own_promise(acting):
    @command("outer")
    def outer(tell):
        rename(CAFE.id, f"Inner {tell}", tell=tell)
        journal().about("business", CAFE.id)

    with acting(CIRCLE, BOB):
        outer(True)
        entry = db.session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.object_id) == ("outer", CAFE.id)
        with pytest.raises(EventMissing):
            outer(False)


def test_a_replay_leaves_no_trace(acting):
    @command("nothing")
    def nothing():
        journal().note("businesses", CAFE.id)
        journal().unchanged()

    with acting(CIRCLE, BOB):
        nothing()
        assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == 0


def test_an_audited_read_leaves_an_entry(acting):
    @command("members.export", reads=True)
    def export():
        return db.session.scalar(select(func.count()).select_from(User))

    with acting(CIRCLE, BOB):
        assert export() > 1
        assert db.session.scalars(select(AuditEntry.action)).one() == "members.export"


def test_a_row_of_another_tenant_cannot_be_smuggled_in(acting):
    @command("smuggle")
    def smuggle():
        db.session.add(Business(id=uid(999), tenant_id=GLOBEX.id, slug="x", name="x", category="", currency="USD"))
        db.session.flush()

    with acting(CIRCLE, BOB), pytest.raises(CrossTenantWrite):
        smuggle()


def test_row_level_security_stops_what_the_orm_did_not(acting):
    """Red when the policy's WITH CHECK is dropped: the insert then succeeds."""

    @command("smuggle.sql")
    def smuggle():
        db.session.execute(
            text(
                "INSERT INTO businesses (tenant_id, id, slug, name, category, currency) VALUES (:t, :i, 'x', 'x', '', 'USD')"
            ),
            {"t": GLOBEX.id, "i": uid(998)},
        )

    from sqlalchemy.exc import ProgrammingError

    with acting(CIRCLE, BOB), pytest.raises(ProgrammingError, match="row-level security"):
        smuggle()


def test_bulk_deletes_stay_inside_the_tenant(acting):
    @command("sweep")
    def sweep():
        return db.session.execute(delete(OutboxMessage)).rowcount

    from sqlalchemy.exc import ProgrammingError

    with acting(CIRCLE, BOB), pytest.raises(ProgrammingError, match="permission denied"):
        sweep()


def test_the_tenant_cannot_change_in_the_middle_of_a_command(acting):
    @command("jump")
    def jump():
        with tenant_scope(GLOBEX.id):
            pass

    with acting(CIRCLE, BOB), pytest.raises(CrossTenantWrite):
        jump()
