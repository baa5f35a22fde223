"""One Parquet file from several, in bounded memory: rows stream through, a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lake.errors import LakeError

BATCH_ROWS: Final = 16_384
GROUP_ROWS: Final = 131_072
"""Rows of a row group; what is held in memory at once."""
GROUP_BYTES: Final = 64 * 2**20
"""A row group ends here at the latest, uncompressed in memory: wide rows make short groups."""
COMPRESSION_LEVEL: Final = 3


def merge_files(
    fs: pafs.FileSystem,
    paths: Iterable[str],
    into: str,
    schema: pa.Schema,
    *,
    keep: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda rows: rows,
) -> int:
    """Write the rows of ``paths``, in their order, to a new file; return how many they are.

    Args:
        fs: of the table.
        paths: Parquet files, relative to the table.
        into: the new file's path, likewise.
        schema: its columns: the table's, without the partition columns. A column that an older
            file lacks is null there.
        keep: returns those of some rows that are written; by default all.

    Raises:
        LakeError: a file has a column that the schema lacks.
    """
    rows = 0
    waiting: list[pa.RecordBatch] = []
    with (
        fs.open_output_stream(into) as out,
        pq.ParquetWriter(
            out,
            schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            store_schema=False,
        ) as writer,
    ):
        count = size = 0
        for path in paths:
            with fs.open_input_file(path) as source, pq.ParquetFile(source) as file:
                for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
                    waiting.append(keep(_conform(batch, schema, path)))
                    count += waiting[-1].num_rows
                    size += waiting[-1].nbytes
                    if count >= GROUP_ROWS or size >= GROUP_BYTES:
                        writer.write_table(pa.Table.from_batches(waiting, schema), GROUP_ROWS)
                        rows += count
                        waiting, count, size = [], 0, 0
        writer.write_table(pa.Table.from_batches(waiting, schema), GROUP_ROWS)
        return rows + count


def _conform(batch: pa.RecordBatch, schema: pa.Schema, path: str) -> pa.RecordBatch:
    """Return the columns of ``schema``, by name."""
    strange = set(batch.schema.names) - set(schema.names)
    if strange:
        raise LakeError(
            f"{path} has columns that its table lacks: {', '.join(sorted(strange))}",
            hint="The file was not written by lakeward; the table is left as it is.",
        )
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = batch.column(field.name)
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.record_batch(columns, schema=schema)
