"""Migration helpers: a tenant's table comes with its row-level security, its policy and its grants (D1, R5)."""

import sqlalchemy as sa
from alembic.operations import MigrateOperation, Operations

OWN_ROWS = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"


@Operations.register_operation("create_tenant_table")
class CreateTenantTable(MigrateOperation):
    """`op.create_tenant_table(name, *columns, app="SELECT, INSERT, UPDATE, DELETE")`."""

    def __init__(self, name, columns, app, options):
        self.name, self.columns, self.app, self.options = name, columns, app, options

    @classmethod
    def create_tenant_table(cls, operations, name, *columns, app="SELECT, INSERT, UPDATE, DELETE", **options):
        """Create the table, forced row-level security, the policy `tenant` and what portal_app may do."""
        return operations.invoke(cls(name, columns, app, options))


@Operations.implementation_for(CreateTenantTable)
def create_tenant_table(operations, operation):
    table = operations.create_table(operation.name, *operation.columns, **operation.options)
    secure(operations, operation.name, operation.app)
    return table


def secure(operations, name, app):
    """Row-level security with USING and WITH CHECK, and the grants."""
    operations.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    operations.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    operations.execute(f"CREATE POLICY tenant ON {name} USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})")
    operations.execute(f"REVOKE ALL ON {name} FROM PUBLIC")
    if app:
        operations.execute(f"GRANT {app} ON {name} TO portal_app")
    operations.execute(f"GRANT SELECT ON {name} TO portal_backup")


def for_each_tenant(operations):
    """The tenants' ids, each with `app.tenant_id` set while it is handled: data migrations go tenant by tenant (D3)."""
    bind = operations.get_bind()
    for (tenant_id,) in bind.execute(sa.text("SELECT id FROM tenants ORDER BY id")).all():
        bind.execute(sa.text("SELECT set_config('app.tenant_id', :t, true)"), {"t": str(tenant_id)})
        yield tenant_id
    bind.execute(sa.text("SELECT set_config('app.tenant_id', '', true)"))
