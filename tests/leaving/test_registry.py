"""Every column that names a member is known to the export and to the erasure (security.md 13)."""

import re

from portal.kernel.model import Model
from portal.leaving.registry import ACTORS, KEYS, LINKS, blanks, exported

NAMES_SOMEBODY = re.compile(
    r"(^|_)(member|user|owner|actor|subject|cashier|author|referrer|approver|impersonator)_id$|_by$|^on_behalf_of$|^merged_into$"
)


def naming_a_member():
    for table in Model.metadata.tables.values():
        if "tenant_id" not in table.c:
            continue
        linked = {
            element.parent.name
            for key in table.foreign_key_constraints
            for element in key.elements
            if element.column.table.name == "users" and element.parent.name != "tenant_id"
        }
        for column in table.columns:
            if column.name in linked or NAMES_SOMEBODY.search(column.name):
                yield f"{table.name}.{column.name}"


def test_every_column_that_names_a_member_is_in_the_registry(app):
    """Seen red with `consents` and `customer_refs` taken out of the registry."""
    known = {f"{link.table}.{link.column}" for link in LINKS} | ACTORS | KEYS
    assert sorted(set(naming_a_member()) - known) == []


def test_the_registry_names_columns_that_exist(app):
    tables = Model.metadata.tables
    assert [link for link in LINKS if link.table not in tables or link.column not in tables[link.table].c] == []
    named = {f"{table.name}.{column.name}" for table in tables.values() for column in table.c}
    assert sorted((ACTORS | KEYS) - named) == []


def test_children_go_before_their_parents(app):
    """A row that something points to cannot be deleted before it."""
    order = [link.table for link in LINKS]
    for link in LINKS:
        if link.via:
            assert link.via in order
            assert link.fate != "delete" or order.index(link.table) < order.index(link.via)


def test_what_is_kept_can_be_emptied(app):
    """A personal column of a row that stays has a value that says nothing, or the erasure gives it one."""
    given = {"users.name", "users.search_text", "users.card_number", "users.joined_via"}
    stuck = [
        f"{link.table}.{column.name}"
        for link in LINKS
        if link.fate in {"blank", "keep"}
        for column in link.rows.columns
        if str(column.info.get("pii", "")) == "erase" and column.name not in dict(blanks(link))
    ]
    assert set(stuck) <= given
    assert [link.table for link in LINKS if link.fate == "keep" and dict(blanks(link))] in ([], ["referrals"])


def test_secrets_are_not_exported(app):
    told = {f"{link.table}.{column.name}" for link in LINKS for column in exported(link)}
    assert not {name for name in told if re.search(r"hash|secret|token|wrapped|public_key|credential", name)}
    assert {"users.email", "purchases.amount", "consents.agreed_at", "kyc_submissions.legal_name"} <= told
