"""The bounded batch that a suite looks at: a pandas frame, never a whole table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from deltalake import DeltaTable

from expectations.suite import Aggregate, NewRows, Suite, TableRef
from lake.delta_log import LogGoneError, locate_files, read_changes
from lake.duck import delta_scan, quote_name, quote_text
from lake.tables import Lake

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

SAMPLE_ROWS = 200_000
"""A batch of more rows is sampled down to this many, and the result says so."""

SAMPLE_SEED = 42


@dataclass(frozen=True, slots=True)
class Batch:
    """What is looked at."""

    frame: pd.DataFrame
    available: int
    """Rows that the batch stands for; more than the frame has when it is a sample."""
    since: int | None
    """The table version after which the rows came; None when it is the whole table."""
    note: str = ""
    """Why it is not what was asked for; empty when it is."""

    @property
    def is_sampled(self) -> bool:
        """True when there are more rows than were looked at."""
        return self.available > len(self.frame)


def load_batch(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    suite: Suite,
    tables: dict[TableRef, DeltaTable],
    *,
    since: int | None,
    sample_rows: int = SAMPLE_ROWS,
) -> Batch:
    """Read a suite's batch.

    Args:
        connection: has the delta extension.
        lake: where the tables are.
        suite: says which rows and columns.
        tables: the tables that the suite reads, at the versions to read.
        since: rows that came after this version; None means the whole table.
        sample_rows: the most rows to look at.
    """
    if isinstance(suite.batch, Aggregate):
        sql = fill_in(suite.batch.sql, tables)
        frame = connection.execute(sql).to_arrow_table().to_pandas()
        return Batch(frame, available=len(frame), since=None)
    table = tables[(suite.layer, suite.table)]
    whole = delta_scan(table.table_uri, table.version())
    source, note = whole, ""
    if since is not None:
        try:
            source = _new_rows(table, since, whole, lake.storage_options)
        except LogGoneError as gone:
            note, since = f"the whole table, because {gone}", None
    row = connection.execute(f"select count(*) from {source}").fetchone()
    available = 0 if row is None else int(row[0])
    columns = ", ".join(f"{sql} as {quote_name(n)}" for n, sql in suite.batch.columns.items())
    # The sample is drawn before the columns are worked out, which for a large table is most work.
    sampled = (
        f"(select * from {source} using sample reservoir({sample_rows} rows) "
        f"repeatable ({SAMPLE_SEED}))"
        if available > sample_rows
        else source
    )
    frame = connection.execute(f"select {columns} from {sampled}").to_arrow_table().to_pandas()
    return Batch(frame, available, since, note)


def fill_in(sql: str, tables: dict[TableRef, DeltaTable]) -> str:
    """Replace each ``{layer.table}`` by a scan of the version that is pinned for it."""

    def scan(match: re.Match[str]) -> str:
        for (layer, name), table in tables.items():
            if (layer, name) == (match[1], match[2]):
                return delta_scan(table.table_uri, table.version())
        raise KeyError(match[0])

    return re.sub(r"\{(\w+)\.(\w+)\}", scan, sql)


def columns_of(suite: Suite) -> tuple[str, ...]:
    """The columns of a suite's batch as far as they are known without reading it."""
    return tuple(suite.batch.columns) if isinstance(suite.batch, NewRows) else ()


def _new_rows(
    table: DeltaTable, since: int, whole: str, storage_options: dict[str, str] | None
) -> str:
    """Return a subquery over the files that were added after ``since`` and are still valid.

    Raises:
        LogGoneError: the log or a file of that time is cleaned up.
    """
    added = read_changes(table, since, storage_options).added
    # A typed empty scan first: it gives each column its type and stands in when a file lacks one.
    nothing = f"select * from {whole} where false"
    if not added:
        return f"({nothing})"
    files = ", ".join(quote_text(uri) for uri in locate_files(table, added, storage_options))
    types = {field.name: field.type for field in table.schema().fields}
    hive = ", ".join(
        f"{quote_text(name)}: {_sql_type(str(getattr(types[name], 'type', 'string')))}"
        for name in table.metadata().partition_columns
    )
    partitions = f", hive_partitioning = true, hive_types = {{{hive}}}" if hive else ""
    read = f"read_parquet([{files}], union_by_name = true{partitions})"
    return f"({nothing} union all by name select * from {read})"


def _sql_type(delta_type: str) -> str:
    return {"date": "DATE", "integer": "INTEGER", "long": "BIGINT"}.get(delta_type, "VARCHAR")
