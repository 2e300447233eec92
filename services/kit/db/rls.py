"""Row-level security, for migrations: three kinds of rows, and functions that refuse to work without a scope.

Store rows carry a `store_id`. Group rows (a customer) are visible through a relation row of a store. Configuration
is open to the service. The group-wide branch comes first in every policy: it is decided once per query, and no list
of all stores is needed.
"""

from kit.db.migrate import service_role
from kit.db.operations import MigrationOperations
from kit.db.scope import SETTING

# A custom setting that was SET LOCAL once in a session falls back to '' and not to NULL: both mean "not set".
_FUNCTIONS = f"""
CREATE FUNCTION dealerloop_scope() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    scope text := pg_catalog.current_setting('{SETTING}', true);
BEGIN
    IF scope IS NULL OR scope = '' THEN
        RAISE EXCEPTION 'this transaction has no row scope' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF scope <> 'group' AND NOT pg_catalog.starts_with(scope, 'stores:') THEN
        RAISE EXCEPTION 'the row scope of this transaction is malformed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN scope;
END
$$;

CREATE FUNCTION dealerloop_scope_is_group() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN public.dealerloop_scope() = 'group';
END
$$;

CREATE FUNCTION dealerloop_scope_stores() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    scope text := public.dealerloop_scope();
BEGIN
    IF scope = 'group' THEN
        RETURN '{{}}';
    END IF;
    RETURN pg_catalog.string_to_array(pg_catalog.substr(scope, 8), ',');
END
$$;

CREATE FUNCTION dealerloop_scope_is_set() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN public.dealerloop_scope() IS NOT NULL;
END
$$;
"""
# As sub-selects they are computed once per query, not once per row.
_GROUP = "(SELECT dealerloop_scope_is_group())"
_STORES = "((SELECT dealerloop_scope_stores())::text[])"
_IS_SET = "(SELECT dealerloop_scope_is_set())"


def create_scope_functions(op: MigrationOperations) -> None:
    """Create what the policies ask; each function is an error when the transaction has no scope."""
    for statement in _FUNCTIONS.split("\n\n"):
        op.execute(statement)


def protect_store_rows(op: MigrationOperations, table: str, column: str = "store_id") -> None:
    """Let a transaction see and write only rows of the stores in its scope; also for the table's owner."""
    within = f"{_GROUP} OR {_name(column)} = ANY ({_STORES})"
    _enable(op, table)
    op.execute(f"CREATE POLICY store_rows ON {_name(table)} USING ({within}) WITH CHECK ({within})")


def protect_related_rows(
    op: MigrationOperations,
    table: str,
    relation_table: str,
    key: str,
    relation_store_column: str = "store_id",
    *,
    table_key: str = "id",
) -> None:
    """Make a group row visible to the stores that have a relation row to it; the group's scope sees all.

    `key` is the relation's column that holds the row's `table_key`; the relation needs an index that begins with
    it. Any set scope may insert a group row, since its first relation row can only follow it: insert without
    RETURNING, because reading the row back needs the relation. Changing or removing needs a visible row.
    """
    same_key = f"relation.{_name(key)} = {_name(table)}.{_name(table_key)}"
    within = f"relation.{_name(relation_store_column)} = ANY ({_STORES})"
    related = f"EXISTS (SELECT 1 FROM {_name(relation_table)} relation WHERE {same_key} AND {within})"  # noqa: S608 - names from a migration
    visible = f"{_GROUP} OR {related}"
    _enable(op, table)
    target = _name(table)
    op.execute(f"CREATE POLICY related_rows_read ON {target} FOR SELECT USING ({visible})")
    op.execute(f"CREATE POLICY related_rows_insert ON {target} FOR INSERT WITH CHECK ({_IS_SET})")
    op.execute(f"CREATE POLICY related_rows_update ON {target} FOR UPDATE USING ({visible}) WITH CHECK ({_IS_SET})")
    op.execute(f"CREATE POLICY related_rows_delete ON {target} FOR DELETE USING ({visible})")


def grant_tables(op: MigrationOperations, *tables: str) -> None:
    """Let the service role read and write these tables; it never owns one."""
    role = _name(service_role(op))
    for table in tables:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_name(table)} TO {role}")


def _enable(op: MigrationOperations, table: str) -> None:
    op.execute(f"ALTER TABLE {_name(table)} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {_name(table)} FORCE ROW LEVEL SECURITY")


def _name(identifier: str) -> str:
    if '"' in identifier or "\0" in identifier:
        raise ValueError("a name in the database has no quotes")
    return f'"{identifier}"'
