"""The chain over the audit log (security.md 11, D20): whatever is changed behind the portal's back is found.

Each fault is made as superuser with triggers off.
"""

import json
import threading
from contextlib import contextmanager

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from portal.audit import seals
from portal.audit.models import AuditRoot, AuditSeal
from portal.audit.verify import broken
from portal.cli import main
from portal.extensions import db
from portal.kernel import chain as chains
from portal.kernel import merkle
from portal.kernel.audit import AuditEntry
from portal.kernel.commands import command, journal
from portal.partners import service
from portal.settings import settings
from tests.cast import CAFE, CIRCLE, FOREIGN_CAFE, FRANK, GLOBEX, IRINA, MALLORY, OLGA

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [  # of the first 1, 2, … 8 leaves: the reference tree of RFC 6962's own implementation
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PAGE = "/admin/audit/chain"


def test_the_tree_is_that_of_rfc_6962():
    leaves = [merkle.leaf(bytes.fromhex(content)) for content in LEAVES]
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [merkle.root(leaves[:n]).hex() for n in range(1, 9)] == ROOTS


def rename(acting, names, tenant=CIRCLE, who=OLGA, shop=CAFE):
    with acting(tenant, who):
        for name in names:
            service.update_business(shop.id, name=name)


def others_end():
    """Wait until every transaction that runs now has ended: the tests beside this one write to the same PostgreSQL."""
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as connection:
        mark = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()[0]
        while connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) < %s::xid8", (mark,)).fetchone()[0]:
            pass


def sealed(acting, tenant=CIRCLE, *, settled=True):
    if settled:
        others_end()
    with acting(tenant):
        taken = []
        while count := seals.seal():
            taken.append(count)
        return taken


def found(acting, kept=(), tenant=CIRCLE):
    with acting(tenant):
        return broken(kept)


@contextmanager
def superuser():
    with psycopg.connect(settings().DATABASE_URL) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


@pytest.fixture
def chain(acting, monkeypatch):
    """Three seals of four, four and two entries of one circle, and one of another."""
    monkeypatch.setattr(chains, "MOST", 4)
    rename(acting, [f"Par {n}" for n in range(10)])
    rename(acting, ["Elsewhere"], GLOBEX, MALLORY, FOREIGN_CAFE)
    assert sealed(acting) == [4, 4, 2]
    assert sealed(acting, GLOBEX) == [1]
    assert found(acting) == found(acting, tenant=GLOBEX) == []


@pytest.mark.commits
def test_nothing_but_the_log_is_sealed_and_nothing_twice(acting, chain):
    rename(acting, ["Par again"])
    assert sealed(acting) == [1]
    assert sealed(acting) == []
    with acting(CIRCLE):
        rows = db.session.scalars(select(AuditSeal).order_by(AuditSeal.n)).all()
        assert [(row.n, row.count, row.entries) for row in rows] == [(1, 4, 4), (2, 4, 8), (3, 2, 10), (4, 1, 11)]
        assert rows[0].prev_hash == chains.NOTHING
        assert [row.prev_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
        assert db.session.scalar(select(func.count(AuditEntry.id))) == 11  # sealing is no act


FAULTS = {
    "edit": ("UPDATE audit_entries SET reason = 'because' WHERE seq = %(fifth)s", "seal 2: entries"),
    "edit in the diff": (
        "UPDATE audit_entries SET changes = jsonb_set(changes, '{0,fields,name,1}', '\"Bar\"') WHERE seq = %(fifth)s",
        "seal 2: entries",
    ),
    "edit of the moment": (
        "UPDATE audit_entries SET occurred_at = occurred_at - interval '1 microsecond' WHERE seq = %(fifth)s",
        "seal 2: entries",
    ),
    "delete": ("DELETE FROM audit_entries WHERE seq = %(fifth)s", "seal 2: 1 entries are missing"),
    "reorder": (
        (
            "UPDATE audit_entries e SET changes = o.changes FROM audit_entries o"
            " WHERE e.seq IN (%(fifth)s, %(sixth)s) AND o.seq IN (%(fifth)s, %(sixth)s) AND o.seq <> e.seq"
        ),
        "seal 2: entries",
    ),
    "reorder in the seal": (
        "UPDATE audit_seals SET seqs = seqs[2:2] || seqs[1:1] || seqs[3:] WHERE tenant_id = %(t)s AND n = 2",
        "seal 2: entries",
    ),
    "insert among the sealed": (
        (
            "INSERT INTO audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at, xact_id)"
            " SELECT tenant_id, gen_random_uuid(), action, actor_kind, changes, occurred_at, xact_id FROM audit_entries WHERE seq = %(fifth)s"
        ),
        "was put among sealed ones",
    ),
    "insert a double": (
        (
            "INSERT INTO audit_entries (tenant_id, id, seq, action, actor_kind, changes, occurred_at) OVERRIDING SYSTEM VALUE"
            " SELECT tenant_id, gen_random_uuid(), seq, action, actor_kind, changes, occurred_at FROM audit_entries WHERE seq = %(fifth)s"
        ),
        "is there twice",
    ),
    "truncate the tail": (
        "DELETE FROM audit_entries WHERE tenant_id = %(t)s AND seq > %(fifth)s",
        "entries are missing",
    ),
    "edit with a new root": (
        "UPDATE audit_seals SET leaf_root = prev_hash WHERE tenant_id = %(t)s AND n = 2",
        "seal 2",
    ),
    "a seal taken out": ("DELETE FROM audit_seals WHERE tenant_id = %(t)s AND n = 2", "seals 2 to 2 are missing"),
    "a number counted wrong": (
        "UPDATE audit_seals SET entries = entries - 1 WHERE tenant_id = %(t)s AND n = 3",
        "seal 3 does not follow",
    ),
}


@pytest.mark.commits
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(acting, chain, fault):
    statement, said = FAULTS[fault]
    with superuser() as connection:
        seqs = [
            row[0]
            for row in connection.execute(
                "SELECT seq FROM audit_entries WHERE tenant_id = %s ORDER BY seq", (CIRCLE.id,)
            )
        ]
        connection.execute(statement, {"t": CIRCLE.id, "fifth": seqs[4], "sixth": seqs[5]})
    assert any(said in line for line in found(acting)), found(acting)
    assert found(acting, tenant=GLOBEX) == []


@pytest.mark.commits
def test_an_entry_put_in_later_that_says_it_is_old_is_found(acting, chain):
    with superuser() as connection:
        connection.execute(
            "INSERT INTO audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at, recorded_at)"
            " VALUES (%s, gen_random_uuid(), 'business.update', 'system', '[]', clock_timestamp(), clock_timestamp() - interval '2 hours')",
            (CIRCLE.id,),
        )
    assert sealed(acting) == [1]
    assert any("long before its elders" in line for line in found(acting))


@pytest.mark.commits
def test_not_even_the_owner_changes_the_log_in_the_ordinary_way(app):
    with psycopg.connect(settings().database_url("portal_owner"), autocommit=True) as owner:
        for table in ("audit_entries", "audit_seals", "audit_roots"):
            with pytest.raises(psycopg.Error, match="append-only"):
                owner.execute(f"TRUNCATE {table}")
    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as root:
        for change in ("UPDATE audit_entries SET reason = 'x'", "DELETE FROM audit_entries"):
            root.execute(
                "INSERT INTO audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at)"
                " VALUES (%s, gen_random_uuid(), 'business.update', 'system', '[]', clock_timestamp())",
                (CIRCLE.id,),
            )
            with pytest.raises(psycopg.Error, match="append-only"):
                root.execute(change)


@pytest.mark.commits
def test_an_entry_that_commits_late_is_sealed_after_all(acting):
    """Its number is lower than that of entries sealed before it; a seal waits for every transaction begun before."""
    written, may_end = threading.Event(), threading.Event()

    def slow():
        with psycopg.connect(settings().DATABASE_URL) as connection:
            connection.execute(
                "INSERT INTO audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at)"
                " VALUES (%s, gen_random_uuid(), 'business.update', 'system', '[]', clock_timestamp())",
                (CIRCLE.id,),
            )
            written.set()
            assert may_end.wait(20)

    rename(acting, ["before"])
    others_end()
    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    rename(acting, ["meanwhile"])
    assert sealed(acting, settled=False) == [1]
    may_end.set()
    thread.join()
    assert sealed(acting) == [2]
    assert found(acting) == []


@pytest.mark.commits
def test_two_sealers_at_once_make_one_chain(acting):
    rename(acting, [f"Par {n}" for n in range(20)])
    others_end()
    barrier, taken = threading.Barrier(4), []

    def run():
        with acting(CIRCLE):
            barrier.wait()
            taken.append(seals.seal())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, 0, 0, 20]
    assert found(acting) == []


def signed(acting):
    with acting(CIRCLE):
        done = seals.sign()
    with acting(CIRCLE):
        return done, seals.document(seals.newest_root())


@pytest.mark.commits
def test_a_root_kept_outside_finds_a_past_rewritten_whole(acting, chain, tmp_path):
    """Log and chain are cut back and built anew, so that they agree; the root that was mailed does not."""
    done, root = signed(acting)
    assert done
    assert seals.is_signed(root)
    assert found(acting, [root]) == []
    with superuser() as connection:
        seqs = [
            row[0]
            for row in connection.execute(
                "SELECT seq FROM audit_entries WHERE tenant_id = %s ORDER BY seq", (CIRCLE.id,)
            )
        ]
        for statement in (
            "DELETE FROM audit_seals WHERE tenant_id = %(t)s",
            "DELETE FROM audit_entries WHERE tenant_id = %(t)s AND seq = %(last)s",
        ):
            connection.execute(statement, {"t": CIRCLE.id, "last": seqs[9]})
    sealed(acting)
    assert any("is not the one that was signed" in line for line in found(acting)), "the database's own root tells it"
    with superuser() as connection:
        connection.execute("DELETE FROM audit_roots WHERE tenant_id = %s", (CIRCLE.id,))
    assert found(acting) == []
    assert any("is not the one that was signed" in line for line in found(acting, [root]))
    path = tmp_path / "root.json"
    path.write_text(json.dumps(root))
    told = CliRunner().invoke(main, ["audit", "verify", "--tenant", "circle", "--root", str(path)])
    assert told.exit_code == 1, told.output
    assert "is not the one that was signed" in told.output
    assert CliRunner().invoke(main, ["audit", "verify"]).exit_code == 0


@pytest.mark.commits
def test_a_root_is_nobody_elses_and_cannot_be_made_up(acting, chain, tmp_path):
    _, root = signed(acting)
    assert found(acting, [{**root, "n": 2}])  # not what was signed
    assert found(acting, [{**root, "signature": "00"}])
    assert found(acting, [{}])
    with acting(GLOBEX):
        assert broken([root])
    path = tmp_path / "root.json"
    path.write_text("[]")
    assert "is no signed root" in CliRunner().invoke(main, ["audit", "verify", "--root", str(path)]).output
    path.write_text(json.dumps({**root, "tenant": str(OLGA.id)}))
    told = CliRunner().invoke(main, ["audit", "verify", "--root", str(path)])
    assert told.exit_code == 1


@pytest.mark.commits
def test_a_root_is_mailed_to_the_admins_once_for_what_is_new(acting, chain, deliver, seen_by):
    assert signed(acting)[0]
    assert not signed(acting)[0]
    sealed(acting)
    assert not signed(acting)[0]  # only that it was signed is new
    rename(acting, ["New"])
    sealed(acting)
    assert signed(acting)[0]
    from portal.kernel.outbox import OutboxMessage

    with seen_by(CIRCLE) as session:
        told = session.scalars(select(OutboxMessage).where(OutboxMessage.type == "audit.signed")).all()
        roots = session.scalars(select(AuditRoot).order_by(AuditRoot.n)).all()
    assert [(m.aggregate_id, m.data["hash"]) for m in told] == [(OLGA.id, root.hash) for root in roots]


@pytest.mark.commits
def test_an_entry_with_numbers_that_json_does_not_know_is_sealed(acting):
    @command("business.update", reads=True)
    def odd():
        journal().note("businesses", CAFE.id, {"name": [2**63, 1e300], "slug": ["\u2028", "😀\x7f"]})

    with acting(CIRCLE, OLGA):
        odd()
    assert sealed(acting) == [1]
    assert found(acting) == []


@pytest.mark.commits
def test_the_page_tells_how_it_stands_and_gives_the_root(acting, chain, sign_in):
    _, root = signed(acting)
    for who in (OLGA, FRANK):
        page = sign_in(who).get(PAGE).text
        for text in ("10 entries", "portal ledger verify", root["hash"], root["public_key"], "audit-root-3.json"):
            assert text in page, text
    link = page.split("/admin/audit/roots/")[1].split('"')[0]
    file = sign_in(OLGA).get(f"/admin/audit/roots/{link}")
    assert file.get_json() == root
    assert 'filename="audit-root-3.json"' in file.headers["Content-Disposition"]
    assert sign_in(MALLORY).get(f"/admin/audit/roots/{link}").status_code == 404
    assert sign_in(IRINA).get(PAGE).status_code == 403
    assert "The first root is signed tonight" in sign_in(MALLORY).get(PAGE).text
