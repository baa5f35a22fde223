"""Which names a query uses: for a session that may use no function that reads files.

The doors of the session hold anyway (``lake.read``). This one keeps it from learning names: of
files, and through them of partitions and tenants, that errors and ``delta_list_files`` tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from lake.errors import QueryError

TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
"""What a tenant's query may read from, besides the tables."""

_OF_FILES: Final = re.compile(r"(delta|read|parquet|sniff|glob|which_secret|getenv)(_|$)")
_A_NAME: Final = re.compile(r"\w+")


def check_names(sql: str) -> None:
    """Make sure that a query reads from tables and harmless functions only.

    Args:
        sql: one SELECT, as ``check_is_query`` lets it in; EXPLAIN taken off.

    Raises:
        QueryError: it names something else, or cannot be looked into.
    """
    with duckdb.connect() as connection:
        row = connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree.get("error"):
        raise QueryError(
            f"this query cannot be let in for a tenant: {tree.get('error_message')}",
            hint="a PIVOT must name its values: pivot ... on x in ('a', 'b')",
        )
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                raise _refused(f"the function {name}")
        elif kind == "BASE_TABLE" and not _A_NAME.fullmatch(str(node.get("table_name", ""))):
            raise _refused("a file")
        name = str(node.get("function_name", "")).lower()
        if _OF_FILES.match(name):
            raise _refused(f"the function {name}")


def _refused(what: str) -> QueryError:
    return QueryError(
        f"{what} cannot be used by a tenant's query",
        hint="a tenant reads the tables of silver and gold; `show all tables` lists them",
    )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
