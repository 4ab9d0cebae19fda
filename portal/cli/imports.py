"""`portal import purchases`: a partner's history from a file (D26)."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

import click

from portal.cli.environment import application

EVERY = 5000


@click.group(name="import")
def import_() -> None:
    """Bring in what was before Krug."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--tenant", "slug", default="", help="The community; DEFAULT_TENANT if not given.")
@click.option("--business", "shop", required=True, help="The business whose sales these are.")
@click.option("--accrue", type=click.Choice(["as-of", "none"]), default="as-of", help="Bonus for past sales, or none.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, writable=True), help="Where to put the lines that were not taken."
)
def purchases(file: str, slug: str, shop: str, accrue: str, rejects: str | None) -> None:
    """Import a CSV of past sales: .csv, .csv.xz, .csv.gz, or - for what is piped in.

    Safe to run again after whatever happened: a sale is recorded once. Exit 1 when a line was rejected.
    """
    app = application()
    with _readable(file) as path, app.app_context():
        counts, state, message = _import(path, slug, shop, accrue, rejects)
    click.echo(
        f"{counts.get('recorded', 0):,} purchases recorded, {counts.get('repeated', 0):,} known already,"
        f" {counts.get('members', 0):,} members created, {counts.get('rejected', 0):,} lines rejected"
    )
    if state != "done":
        raise click.ClickException(message or f"the import ended as {state}")
    if counts.get("rejected"):
        click.echo(f"the rejected lines: {rejects}" if rejects else "run with --rejects FILE to see the rejected lines")
        sys.exit(1)


def _import(path: Path, slug: str, shop: str, accrue: str, rejects: str | None) -> tuple[dict[str, int], str, str]:
    from flask import g
    from sqlalchemy import select

    from portal.extensions import db
    from portal.identity.sessions import acting_as
    from portal.imports.work import KIND
    from portal.jobs import running, service
    from portal.jobs.models import Job
    from portal.kernel.tenancy import tenant_scope
    from portal.partners.models import Business
    from portal.settings import settings
    from portal.tenants.hosts import tenant_by_id, tenant_named

    wanted = slug or settings().DEFAULT_TENANT
    tenant_id = tenant_named(wanted)
    if tenant_id is None:
        raise click.ClickException(f"there is no tenant {wanted}; `portal tenant create {wanted}` makes one")
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = tenant_by_id(tenant_id)
        business_id = db.session.scalar(select(Business.id).where(Business.slug == shop))
        if business_id is None:
            raise click.ClickException(f"{wanted} has no business {shop}")
        db.session.rollback()
        job_id = service.start_here(KIND, business_id=business_id, params={"accrue": accrue, "path": path.name})
        with _bar() as watch:
            state = running.run(job_id, watch, lambda: path.open("rb"))
        row = db.session.execute(select(Job.result, Job.message, Job.result_file_id).where(Job.id == job_id)).one()
        if rejects and row.result_file_id:
            from portal.files.service import open_file

            with open_file(row.result_file_id) as source, Path(rejects).open("wb") as target:
                shutil.copyfileobj(source, target)
        return dict(row.result), state, row.message


def _readable(file: str) -> AbstractContextManager[Path]:
    """The file; what is piped in is kept aside first, since it is read twice."""
    return nullcontext(Path(file)) if file != "-" else _Piped(sys.stdin.buffer)


class _Piped:
    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.file = stream, tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115  closed in __exit__

    def __enter__(self) -> Path:
        shutil.copyfileobj(self.stream, self.file)
        self.file.flush()
        return Path(self.file.name)

    def __exit__(self, *_: object) -> None:
        self.file.close()


class _bar:  # noqa: N801  used as a block
    """A progress bar on a terminal, a line every 5,000 rows elsewhere."""

    def __enter__(self) -> Callable[[int, int], None]:
        self.bar: Any = None
        self.told = 0
        return self._bar if sys.stderr.isatty() else self._lines

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.render_finish()

    def _bar(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = click.progressbar(length=total, label="Importing", file=sys.stderr)
        self.bar.update(done - self.told)
        self.told = done

    def _lines(self, done: int, total: int) -> None:
        if done - self.told >= EVERY or (done >= total > self.told):
            click.echo(f"{done:,} of {total:,} lines", err=True)
            self.told = done
