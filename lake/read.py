"""Ask the lake in SQL, read-only: one view per Delta table, at its head or as of an earlier time.

A reader holds views only, named ``<layer>.<table>``, in a DuckDB database in memory. Nothing can be
written through it and nothing outside the lake root can be read: only queries are let in, file
access is closed except for the root, and the configuration is locked. See ADR 050.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from lake.as_of import AsOf, Head
from lake.duck import connect, delta_scan, quote_name, quote_text
from lake.errors import QueryError
from lake.held_live import HeldLive
from lake.inventory import require_tables
from lake.live import SCHEMA, define_live_views
from lake.query_names import check_names
from lake.tables import LAYERS, Lake, Layer
from lake.tenant_share import SHARED, TenantShare

FETCH_ROWS = 10_000
_LIVE = re.compile(rf"\b{SCHEMA}\b", re.IGNORECASE)
NEVER_CHECKPOINTED = "1TB"
"""Of changes, before DuckDB looks through all tables in memory for rows that were deleted, in the
commit of whoever comes next. What a session holds is deleted by whole tables."""
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A table that has no view, and why: it cannot be read, or was not there at that time."""

    layer: str
    name: str
    reason: str


@dataclass(slots=True)
class _Live:
    """The live views of a session and of those beside it."""

    is_to_come: bool
    """They are made when a query is the first to name their schema."""
    is_to_hold: bool
    held: HeldLive | None = None
    sessions: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self) -> None:
        """Count one session more."""
        with self.lock:
            self.sessions += 1

    def leave(self) -> None:
        """Count one session less; the last one ends what is held."""
        with self.lock:
            self.sessions -= 1
            if self.sessions <= 0 and self.held is not None:
                self.held.close()
                self.held = None


class LakeReader:
    """A read-only SQL session on a lake; a context manager.

    Each query sees every table at its head (a snapshot taken when the query starts), or, with
    ``as_of``, at the one version that ``as_of`` names.
    """

    def __init__(
        self,
        lake: Lake,
        as_of: AsOf = Head(),  # noqa: B008 - frozen, no state
        share: TenantShare | None = None,
        *,
        holds_tail: bool = False,
    ) -> None:
        """Open the session and define the views.

        Args:
            lake: which lake.
            as_of: which versions are seen.
            share: what one tenant may see; None: everything.
            holds_tail: live views are asked again and again: keep what came since the last build
                in memory, and add to it, instead of working it out in each query.

        Raises:
            LakePathError: there is no lake at that root.
            QueryError: DuckDB or its delta extension cannot be started, or ``as_of`` names a table
                that there is not. A table without the wanted version is in ``left_out``.
        """
        require_tables(lake)
        self._lake = lake
        self._share = share
        has_live = share is None and isinstance(as_of, Head)
        self._live = _Live(has_live, holds_tail)
        self._has_no_live = not has_live
        self.left_out: list[LeftOut] = []
        tables = [(layer, name) for layer in LAYERS for name in lake.names(layer)]
        as_of.check(tables)
        self._connection = connect(lake)
        try:
            if holds_tail:
                self._connection.execute(f"set checkpoint_threshold = '{NEVER_CHECKPOINTED}'")
            for layer in LAYERS if share is None else SHARED:
                self._connection.execute(f"create schema {quote_name(layer)}")
            if share is None:
                for layer, name in tables:
                    self._define(layer, name, as_of, "from {}".format)
            else:
                self._define_share(share, as_of)
            self._close_doors()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; what it holds stays for those that are beside it."""
        self._live.leave()  # first, as a connection that is closed closes its cursors
        self._connection.close()

    @property
    def has_live(self) -> bool:
        """True when the session has live views, which a past or a tenant's one has not."""
        return not self._has_no_live

    @property
    def held_rows(self) -> int | None:
        """How many rows of bronze the session holds in memory; None when it holds no tail."""
        return None if self._live.held is None else self._live.held.rows

    def interrupt(self) -> None:
        """Stop the query that runs now; safe from another thread."""
        self._connection.interrupt()

    def beside(self) -> LakeReader:
        """Return another session on the same views, for another thread; it is closed by itself."""
        other = copy(self)
        self._live.join()
        other._connection = self._connection.cursor()
        return other

    def columns(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[str]:
        """Start ``sql`` and return the names of its columns; ``rows`` then returns its rows.

        Args:
            sql: one query.
            parameters: what stands for ``$name`` in it, by name.

        Raises:
            QueryError: it is not one query, or DuckDB refuses it.
        """
        self._check(sql)
        try:
            self._connection.execute(sql, dict(parameters) if parameters else None)
        except duckdb.Error as error:
            raise self._explain(error) from error
        except RuntimeError as error:
            raise _interrupted(error) from error
        return [str(column[0]) for column in self._connection.description or []]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the query that ``columns`` started, without holding them all.

        Raises:
            QueryError: the query fails while it runs.
        """
        while True:
            try:
                found = self._connection.fetchmany(FETCH_ROWS)
            except duckdb.Error as error:
                raise self._explain(error) from error
            except RuntimeError as error:
                raise _interrupted(error) from error
            if not found:
                return
            yield from found

    def table(self, sql: str) -> pa.Table:
        """Return the whole result of ``sql`` as an Arrow table.

        Raises:
            QueryError: it is not one query, or DuckDB refuses it.
        """
        self._check(sql)
        try:
            return self._connection.execute(sql).to_arrow_table()
        except duckdb.Error as error:
            raise self._explain(error) from error
        except RuntimeError as error:
            raise _interrupted(error) from error

    def _check(self, sql: str) -> None:
        query = check_is_query(sql)
        if self._share is not None:
            check_names(query)
        if not self._has_no_live and _LIVE.search(query):
            self._bring_live()

    def _bring_live(self) -> None:
        """Define the live views, when a query is the first to name their schema.

        They are of now and of all tenants: a reader of the past, or of one tenant, has none.
        """
        with self._live.lock:
            if self._live.is_to_come:
                self._live.is_to_come = False
                cut, left_out = define_live_views(self._lake, self._connection)
                for line in left_out:
                    name, _, reason = line.partition(": ")
                    self.left_out.append(LeftOut(SCHEMA, name.rpartition(".")[2], reason))
                if cut is not None and self._live.is_to_hold:
                    self._live.held = HeldLive(self._lake, self._connection.cursor(), cut)
                    self._live.held.begin()
                return
        if self._live.held is not None:
            self._live.held.catch_up()

    def _define_share(self, share: TenantShare, as_of: AsOf) -> None:
        for one in share.not_shared:
            self.left_out.append(LeftOut(one.layer, one.name, one.reason))
        for table in share.tables:
            self._define(table.layer, table.name, as_of, partial(share.select, table))

    def _define(self, layer: Layer, name: str, as_of: AsOf, select: Callable[[str], str]) -> None:
        """Define a view; ``select`` makes its SQL from the call that reads the table."""
        view = f"{quote_name(layer)}.{quote_name(name)}"
        try:
            version = as_of.version(self._lake, layer, name)
            scan = delta_scan(self._lake.uri(layer, name), version)
            self._connection.execute(f"create view {view} as {select(scan)}")
        except QueryError as error:
            self.left_out.append(LeftOut(layer, name, error.message))
        except (duckdb.Error, DeltaError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            self.left_out.append(LeftOut(layer, name, f"it cannot be read: {reason}"))

    def _close_doors(self) -> None:
        root = self._lake.root.rstrip("/") + "/"
        folders = [root] if self._share is None else self._share.folders
        allowed = ", ".join(map(quote_text, folders))
        for statement in (
            "set global TimeZone = 'UTC'",  # of the sessions beside this one too
            "set autoinstall_known_extensions = false",
            "set autoload_known_extensions = false",
            f"set allowed_directories = [{allowed}]",
            "set enable_external_access = false",
            "set python_enable_replacements = false",
            "set lock_configuration = true",
        ):
            self._connection.execute(statement)

    def _explain(self, error: duckdb.Error) -> QueryError:
        """Turn DuckDB's error into one that also names what could not be read."""
        text = str(error).strip()
        hint = None
        if isinstance(error, duckdb.CatalogException):
            hint = "`lakeward tables` lists what there is; a table's name is <layer>.<table>"
            if self._has_no_live and _LIVE.search(text):
                hint = "live views are of now and of all tenants: ask gold instead"
            elif _LIVE.search(text):
                hint = (
                    "a live view is there once its mart was built: `lakeward build` builds all; "
                    f"\"from duckdb_views() where schema_name = '{SCHEMA}'\" lists those there are"
                )
        for gone in self.left_out:
            if re.search(rf"\b{re.escape(gone.name)}\b", text):
                hint = f"{gone.layer}.{gone.name} is left out: {gone.reason}"
        if isinstance(error, duckdb.PermissionException):
            if self._share is not None:
                text = "the query would read what is not this tenant's"  # DuckDB names the file
            hint = "a query reads the lake's tables only, no other files"
        return QueryError(text, hint=hint)


def check_is_query(sql: str) -> str:
    """Make sure that ``sql`` is one statement and only reads; return it without an EXPLAIN.

    Raises:
        QueryError: it is empty, is no SQL, is several statements, or would write.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from error
    if not statements:
        raise QueryError("the query is empty", hint="try: lakeward query 'show all tables'")
    kinds = [statement.type for statement in statements]
    # DuckDB unrolls one PIVOT without IN into the creation of its enum and a SELECT.
    is_pivot = kinds == [duckdb.StatementType.CREATE, duckdb.StatementType.SELECT] and not (
        statements[0].query.strip()
    )
    if len(statements) > 1 and not is_pivot:
        raise QueryError(f"give one query, not {len(statements)} statements")
    if kinds[0] == duckdb.StatementType.EXPLAIN:
        opening = _EXPLAIN.match(sql)
        if opening is None:
            raise QueryError("write EXPLAIN first, without a comment before it")
        return check_is_query(sql[opening.end() :])
    if not is_pivot and kinds[0] != duckdb.StatementType.SELECT:
        raise QueryError(
            f"{kinds[0].name} is not a query, and the lake is read-only here",
            hint="tables are written by `lakeward write` (bronze) and dbt (silver and gold)",
        )
    return sql


def _interrupted(error: RuntimeError) -> BaseException:
    """Return the Ctrl-C that DuckDB hides in a RuntimeError, or the error itself."""
    return KeyboardInterrupt() if str(error) == "Query interrupted" else error
