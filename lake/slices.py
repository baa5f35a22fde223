"""In how many slices a full build computes a model, so that memory does not grow with history.

DuckDB can move rows to disk when memory is full, but not what an aggregate holds of a string
(``arg_min`` and its like). So a model with many groups of such aggregates names the key of its
groups in ``meta.sliced_by``, and the macro ``in_slice`` keeps the rows of one slice of the keys:
the same SQL is run once for each slice, and all slices go into one commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.increments import Plan

BYTES_A_ROW: Final = 800
"""Of DuckDB's memory, for each row that a model reads: twice what 4 GB have for each of 10,000,000
events, of which ``int_identity`` and ``int_sessions`` still went well side by side."""
BATCH_ROWS: Final = 100_000


def slices_for(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> int:
    """Return in how many slices the rows of the model's upstreams fit into DuckDB's memory."""
    limit = cursor.execute(
        "select parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchone()
    assert limit is not None
    rows = sum(_rows_in(upstream.table) for upstream in plan.upstreams if upstream.table)
    return 1 + rows * BYTES_A_ROW // int(limit[0])


def stream(cursor: duckdb.DuckDBPyConnection, sql: str, slices: int = 1) -> pa.RecordBatchReader:
    """Return the rows of ``sql``, one slice after the other.

    A cursor has one open result, so the next slice begins when the last one has been read.
    """
    first = _slice(cursor, sql, 0, slices)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first
        for number in range(1, slices):
            yield from _slice(cursor, sql, number, slices)

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def _slice(
    cursor: duckdb.DuckDBPyConnection, sql: str, number: int, slices: int
) -> pa.RecordBatchReader:
    cursor.execute(f"set variable slices = {slices}")
    cursor.execute(f"set variable slice = {number}")
    return cursor.execute(sql).to_arrow_reader(BATCH_ROWS)


def _rows_in(table: DeltaTable) -> int:
    counts = pa.table(table.get_add_actions(flatten=True))["num_records"]
    return pc.sum(counts).as_py() or 0
