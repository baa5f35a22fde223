"""Delta tables that a DuckDB session holds open, each at one version.

``delta_scan`` replays a table's log in every statement that names the table: 20 to 80 ms with a
few hundred files, tens of times in the build of a model. An attached table is read once.
"""

from __future__ import annotations

import threading

import duckdb

from lake.duck import quote_name, quote_text
from lake.increments import Pinned

_LOCK = threading.Lock()
"""Two threads that attach the same table at once would not see each other's."""


def attached(cursor: duckdb.DuckDBPyConnection, pinned: Pinned) -> str:
    """Return what to select from for the pinned version of a table; attach it if need be.

    The name says which table it is, as one that was deleted and made anew has the same versions.

    Raises:
        duckdb.Error: the table cannot be read at that version.
    """
    assert pinned.table is not None
    version = pinned.table.version()
    name = quote_name(f"{pinned.label}@{version} of {pinned.table.metadata().id}")
    with _LOCK:
        cursor.execute(
            f"attach if not exists {quote_text(pinned.uri)} as {name} "
            f"(type delta, version {version})"
        )
    return name


def detach_all(cursor: duckdb.DuckDBPyConnection) -> None:
    """Let go of every attached Delta table; queries that run go on with theirs."""
    names = cursor.execute("select database_name from duckdb_databases() where type = 'delta'")
    for (name,) in names.fetchall():
        cursor.execute(f"detach {quote_name(name)}")
