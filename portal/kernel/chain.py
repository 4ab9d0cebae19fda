"""Seals over a log that is only ever added to (security.md 11, WAL-9, D20): apart from writing it, so that no command waits
for another's hash.

A seal takes rows whose transactions are all settled, in the order `(xact_id, seq)`; so nothing can slip in among what is
sealed. What is not sealed yet is as old as the longest writing transaction and the pause of the sealer: 60 s at most while
none is longer than 30 s.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

import rfc8785
from sqlalchemy import BigInteger, UniqueConstraint, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from portal.extensions import db
from portal.kernel import merkle
from portal.kernel.model import TenantOwned, Xid8, pii
from portal.kernel.tenancy import current_tenant_id

MOST = 1000  # rows a seal
NOTHING = "0" * 64  # what stands before the first seal
AT_ONCE = 20  # seals read together
ENOUGH = 100  # rows put among sealed ones that are named
# Longer than any transaction that writes: a row recorded so long before its elders is false.
LATE = timedelta(hours=1)
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name || ':' || cast(:t AS text), 0))")
log = logging.getLogger(__name__)


class Seal(TenantOwned):
    """Up to 1,000 rows under one Merkle root, chained to the seal before.

    `seqs` are the rows' numbers in the order of the leaves, which is that of their transactions; it is kept because a
    restored database has other transaction ids. `entries` counts all rows up to here. `through_xact` and `to_seq` name the
    last leaf: from there the next seal goes on. Hashes are SHA-256 in hexadecimal.
    """

    @declared_attr.directive
    def __table_args__(cls) -> tuple[UniqueConstraint, ...]:  # noqa: N805
        return (UniqueConstraint("tenant_id", "n"),)

    n: Mapped[int]
    from_seq: Mapped[int]
    to_seq: Mapped[int]
    count: Mapped[int]
    entries: Mapped[int]
    seqs: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), info=pii("keep:technical"))
    leaf_root: Mapped[str] = mapped_column(info=pii("keep:hash"))
    prev_hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    hash: Mapped[str] = mapped_column(info=pii("keep:hash"))
    through_xact: Mapped[str] = mapped_column(Xid8())
    sealed_at: Mapped[datetime]


def utc(column: str) -> str:
    """SQL of a moment as text to the microsecond, whatever the session's zone."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def moment(at: datetime) -> str:
    """The same of a moment that is here."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def hash_of(seal: Any) -> str:
    """h(n) = SHA-256(h(n-1) ‖ RFC 8785(the seal))."""
    told = {
        "tenant": str(seal.tenant_id),
        "n": seal.n,
        "from_seq": seal.from_seq,
        "to_seq": seal.to_seq,
        "count": seal.count,
        "entries": seal.entries,
        "leaf_root": seal.leaf_root,
        "sealed_at": moment(seal.sealed_at),
    }
    return sha256(bytes.fromhex(seal.prev_hash) + rfc8785.dumps(told)).hexdigest()


@dataclass(frozen=True)
class Chain:
    """The seals `model` over `table`, whose rows are read as `row`: SQL of named columns over the alias `r`.

    `row` has all that a row says, among it `seq` and `recorded_at`; what JSON's own numbers cannot hold is text. `waits` is
    SQL over `r` that is true where a row is not final: it and what follows are sealed later.
    `later` are columns that came after the first seals: they are left out of the leaf of a row that has none.
    `one` and `many` name rows in words.
    """

    name: str
    model: Any
    table: str
    row: str
    one: str
    many: str
    waits: str = "false"
    later: tuple[str, ...] = ()

    @cached_property
    def seals(self) -> str:
        """The seals' own table."""
        name: str = self.model.__tablename__
        return name

    def leaf_of(self, row: Mapping[str, Any]) -> bytes:
        """The leaf of a row: the hash of its RFC 8785 form."""
        told = {name: value for name, value in row.items() if value is not None or name not in self.later}
        return merkle.leaf(rfc8785.dumps(told))

    def newest(self) -> Any:
        """The last seal, or None."""
        head = text(
            f"SELECT n, to_seq, through_xact::text AS through_xact, entries, hash, sealed_at FROM {self.seals}"
            " WHERE tenant_id = :t ORDER BY n DESC LIMIT 1"
        )
        return db.session.execute(head, {"t": current_tenant_id()}).one_or_none()

    def add(self) -> int:
        """Seal the next rows that are settled; returns how many, 0 when another process is at it. To be called by a command."""
        tenant = current_tenant_id()
        if not db.session.scalar(_ALONE, {"t": tenant, "name": self.name}):
            return 0
        head = self.newest()
        rows = self._next(head)
        if not rows:
            return 0
        ends = [(row.pop("xact"), row.pop("sealed_at")) for row in rows]
        made = self.model(
            tenant_id=tenant,
            n=head.n + 1 if head else 1,
            from_seq=rows[0]["seq"],
            to_seq=rows[-1]["seq"],
            count=len(rows),
            entries=(head.entries if head else 0) + len(rows),
            seqs=[row["seq"] for row in rows],
            leaf_root=merkle.root([self.leaf_of(row) for row in rows]).hex(),
            prev_hash=head.hash if head else NOTHING,
            through_xact=ends[-1][0],
            sealed_at=ends[-1][1],
        )
        made.hash = hash_of(made)
        db.session.add(made)
        log.info("%s log of %s: seal %s, %s rows, %s", self.name, tenant, made.n, made.entries, made.hash)
        return len(rows)

    def _next(self, head: Any) -> list[dict[str, Any]]:
        following = text(
            f"SELECT {self.row}, r.xact_id::text AS xact, clock_timestamp() AS sealed_at, {self.waits} AS waits FROM {self.table} r"
            " WHERE r.tenant_id = :t AND (r.xact_id, r.seq) > (cast(:xact AS xid8), :seq)"
            " AND r.xact_id < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY r.xact_id, r.seq LIMIT :most"
        )
        values = {"t": current_tenant_id(), "xact": head.through_xact if head else "0", "most": MOST}
        found = []
        for row in db.session.execute(following, {**values, "seq": head.to_seq if head else 0}).mappings():
            told = dict(row)
            if told.pop("waits"):
                break
            found.append(told)
        return found

    def unsealed(self) -> Any:
        """How many rows are not sealed yet (10,001 for more), and since when."""
        head = f"FROM {self.seals} WHERE tenant_id = :t ORDER BY n DESC LIMIT 1"
        tail = text(
            "SELECT count(*) AS count, min(recorded_at) AS since FROM ("
            f" SELECT r.recorded_at FROM {self.table} r WHERE r.tenant_id = :t AND (r.xact_id, r.seq) >"
            f" (coalesce((SELECT through_xact {head}), '0'), coalesce((SELECT to_seq {head}), 0)) LIMIT 10001) r"
        )
        return db.session.execute(tail, {"t": current_tenant_id()}).one()

    def broken(self) -> tuple[list[str], dict[int, tuple[str, int]]]:
        """What does not fit, in words; and each seal's hash with the number of rows so far."""
        hashes: dict[int, tuple[str, int]] = {}
        found = list(self._seals(hashes))
        if len(found) < ENOUGH:
            found += [f"{self.one} {seq} was put among sealed ones" for seq in self._beside()]
        return found, hashes

    def _beside(self) -> Iterator[int]:
        beside = text(f"""
            WITH head AS (SELECT through_xact, to_seq FROM {self.seals} WHERE tenant_id = :t ORDER BY n DESC LIMIT 1),
                 sealed AS MATERIALIZED (SELECT unnest(seqs) AS seq FROM {self.seals} WHERE tenant_id = :t)
            SELECT r.seq FROM {self.table} r CROSS JOIN head LEFT JOIN sealed ON sealed.seq = r.seq
             WHERE r.tenant_id = :t AND (r.xact_id, r.seq) <= (head.through_xact, head.to_seq) AND sealed.seq IS NULL
             ORDER BY r.seq LIMIT {ENOUGH}""")
        yield from db.session.scalars(beside, {"t": current_tenant_id()})

    def _seals(self, hashes: dict[int, tuple[str, int]]) -> Iterator[str]:
        """Each seal against the one before and against its rows; fills `hashes`."""
        before, entries, newest = NOTHING, 0, None
        n = 0
        while batch := list[Any](db.session.execute(self._after(n))):
            rows = self._rows([seq for seal in batch for seq in seal.seqs])
            for seal in batch:
                if seal.n != n + 1:
                    yield f"seals {n + 1} to {seal.n - 1} are missing"
                if seal.prev_hash != before or seal.hash != hash_of(seal) or seal.entries != entries + seal.count:
                    yield f"seal {seal.n} does not follow from the one before"
                n, before, entries = seal.n, seal.hash, seal.entries
                hashes[n] = (before, entries)
                yield from self._leaves(seal, rows)
                newest, told = self._in_time(seal, rows, newest)
                yield from told

    def _after(self, n: int) -> Any:
        columns = [c for c in self.model.__table__.columns if c.name not in {"id", "through_xact"}]
        mine = (self.model.tenant_id == current_tenant_id(), self.model.n > n)
        return select(*columns).where(*mine).order_by(self.model.n).limit(AT_ONCE)

    def _rows(self, seqs: list[int]) -> dict[int, list[dict[str, Any]]]:
        wanted = text(f"SELECT {self.row} FROM {self.table} r WHERE r.tenant_id = :t AND r.seq = ANY(:seqs)")
        rows: dict[int, list[dict[str, Any]]] = {}
        for row in db.session.execute(wanted, {"t": current_tenant_id(), "seqs": seqs}).mappings():
            rows.setdefault(row["seq"], []).append(dict(row))
        return rows

    def _leaves(self, seal: Any, rows: Mapping[int, list[dict[str, Any]]]) -> Iterator[str]:
        missing = [seq for seq in seal.seqs if seq not in rows]
        twice = [seq for seq in seal.seqs if len(rows.get(seq, ())) > 1]
        if missing:
            yield f"seal {seal.n}: {len(missing)} {self.many} are missing, the first is {missing[0]}"
        if twice:
            yield f"seal {seal.n}: {self.one} {twice[0]} is there twice"
        if missing or twice:
            return
        if merkle.root([self.leaf_of(rows[seq][0]) for seq in seal.seqs]).hex() != seal.leaf_root:
            yield f"seal {seal.n}: {self.many} {seal.from_seq} to {seal.to_seq} are not as they were sealed"

    def _in_time(
        self, seal: Any, rows: Mapping[int, list[dict[str, Any]]], newest: datetime | None
    ) -> tuple[datetime | None, list[str]]:
        """The newest moment so far, and rows that claim to be much older than those sealed before them."""
        moments = {seq: datetime.fromisoformat(rows[seq][0]["recorded_at"]) for seq in seal.seqs if seq in rows}
        late = [seq for seq, at in moments.items() if newest and at < newest - LATE]
        told = [f"seal {seal.n}: {self.one} {late[0]} says it was recorded long before its elders"] if late else []
        return max((*moments.values(), *([newest] if newest else [])), default=None), told
