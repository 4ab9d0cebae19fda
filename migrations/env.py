"""Alembic's entry: as portal_owner, one migration run at a time, no lock held over a second (D3, F12)."""

import sys
from pathlib import Path

from alembic import context
from sqlalchemy import NullPool, create_engine, text

sys.path.insert(0, str(Path(__file__).parent))
import tenant_ops  # noqa: F401  registers op.create_tenant_table

from portal import nouns
from portal.kernel.model import Model
from portal.settings import MAIN, settings

ONE_RUN = 7_305_071  # advisory lock: two deployments do not migrate at once
nouns.load_models()


def ours(_object, name, kind, _reflected, _compared):
    """Everything but Alembic's own table."""
    return not (kind == "table" and name == "alembic_version")


primary = context.config.attributes.get("primary", MAIN)
url = settings().database_url("portal_owner", primary).replace("postgresql://", "postgresql+psycopg://")
engine = create_engine(url, poolclass=NullPool)  # a refused run must let go of its advisory lock
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": ONE_RUN})
    connection.execute(text("SET row_security = off"))
    connection.execute(text("SET lock_timeout = '1s'"))
    connection.execute(text("SET statement_timeout = '15min'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        include_object=ours,
        transaction_per_migration=True,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": ONE_RUN})
    connection.commit()
