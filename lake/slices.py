"""In which slices a full build computes a model, so that memory does not grow with history.

DuckDB can move rows to disk when memory is full, but not what an aggregate holds of a string or of
many values (``arg_min``, distinct counts, exact percentiles). So a model with many groups of such
aggregates says in ``meta.sliced_by`` what its groups do not cross: a key, or days. The same SQL is
run once for each slice, and all slices go into one commit. Which slice it is, the SQL asks of
variables of the DuckDB session (the macros ``in_slice`` and ``in_scope``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final, Literal

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from lake.increments import Plan

BYTES_AT_LEAST: Final = 1_000_000_000
"""Of DuckDB's memory, for what does not grow with the rows of a slice: scans, joins, what other
models hold that are computed at the same time. Without it 2.5 GB failed where 4 GB went well."""
BYTES_A_ROW: Final = 600
"""Of the rest, for each row that a model reads: 4 GB for 5,000,000 rows, half of those with which
four models still went well side by side."""
BATCH_ROWS: Final = 100_000
ALWAYS: Final = (date(1, 1, 1), date(9999, 12, 31))

SlicedBy = Literal["keys", "days"]
Slice = Mapping[str, str]
"""Variable of the session: its value, as SQL."""
WHOLE: Final[Sequence[Slice]] = ({},)


def slices_for(
    cursor: duckdb.DuckDBPyConnection, plan: Plan, by: SlicedBy | None
) -> Sequence[Slice]:
    """Return slices of the model's upstreams that each fit into DuckDB's memory; at least one."""
    if by is None:
        return WHOLE
    limit = cursor.execute(
        "select parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchone()
    assert limit is not None
    left = max(int(limit[0]) // 4, int(limit[0]) - BYTES_AT_LEAST)
    at_once = max(1, left // BYTES_A_ROW)
    tables = [upstream.table for upstream in plan.upstreams if upstream.table]
    if by == "days":
        return _of_days(sum((_rows_by_day(table) for table in tables), Counter()), at_once)
    count = 1 + sum(row["num_records"] for table in tables for row in _files(table)) // at_once
    return [{"slices": str(count), "slice": str(number)} for number in range(count)]


def stream(
    cursor: duckdb.DuckDBPyConnection, queries: Sequence[str], slices: Sequence[Slice] = WHOLE
) -> pa.RecordBatchReader:
    """Return the rows of ``queries`` of the same columns, one after the other, slice by slice.

    A cursor has one open result, so the next one begins when the last one has been read.
    """
    runs = [(sql, part) for part in slices for sql in queries]
    first = _run(cursor, *runs[0])

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first
        for sql, part in runs[1:]:
            yield from _run(cursor, sql, part)

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _run(cursor: duckdb.DuckDBPyConnection, sql: str, part: Slice) -> pa.RecordBatchReader:
    for name, value in part.items():
        cursor.execute(f"set variable {name} = {value}")
    return cursor.execute(sql).to_arrow_reader(BATCH_ROWS)


def _of_days(rows: Counter[date], at_once: int) -> Sequence[Slice]:
    """Return runs of days of so many rows or fewer; a day that has more is a slice of its own."""
    ends: list[date] = []
    held = 0
    for last, day in pairwise([ALWAYS[0], *sorted(rows)]):
        if held and held + rows[day] > at_once:
            ends.append(last)
            held = 0
        held += rows[day]
    return [
        {"after_day": f"date '{after}'", "to_day": f"date '{to}'"}
        for after, to in pairwise([ALWAYS[0], *ends, ALWAYS[1]])
    ]


def _rows_by_day(table: DeltaTable) -> Counter[date]:
    """Return the rows of each day of a table that is partitioned by tenant and day."""
    found: Counter[date] = Counter()
    columns = table.metadata().partition_columns
    if len(columns) == 2:
        for file in _files(table):
            found[file[f"partition.{columns[1]}"]] += file["num_records"]
    return found


def _files(table: DeltaTable) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return files
