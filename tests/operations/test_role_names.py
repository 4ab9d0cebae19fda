"""The name that a role had becomes the one in the first language of its tenant; going back keeps one."""

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from portal.cli import database
from portal.kernel.model import new_id
from portal.settings import settings
from tests.cast import CIRCLE, GLOBEX

pytestmark = pytest.mark.commits


def ask(tenant, statement, *values):
    with psycopg.connect(settings().database_url("portal_owner")) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant.id),))
        answer = connection.execute(statement, values)
        return answer.fetchall() if answer.description else None


def test_names_are_carried_there_and_back(app):
    """Seen red without the tenant set for each update: row-level security hid every role."""
    config = database.alembic_config()
    (step,) = (one for one in ScriptDirectory.from_config(config).walk_revisions() if "role_names" in one.path)
    command.downgrade(config, step.down_revision)
    ask(GLOBEX, "UPDATE tenants SET default_locale = 'ru' WHERE id = %s", GLOBEX.id)
    for tenant, name in ((CIRCLE, "Auditor"), (GLOBEX, "Ревизор")):
        ask(
            tenant,
            "INSERT INTO custom_roles (tenant_id, id, name, reach, permissions) VALUES (%s, %s, %s, 'tenant', '{audit.read}')",
            tenant.id,
            new_id(),
            name,
        )
    command.upgrade(config, step.revision)
    kept = "SELECT name_i18n FROM custom_roles"
    assert (ask(CIRCLE, kept), ask(GLOBEX, kept)) == ([({"en": "Auditor"},)], [({"ru": "Ревизор"},)])
    assert ask(GLOBEX, "SELECT name FROM custom_roles") == [("Ревизор",)], "as the release before reads it"
    command.downgrade(config, step.down_revision)
    assert ask(GLOBEX, "SELECT name FROM custom_roles") == [("Ревизор",)]
    command.upgrade(config, "head")
