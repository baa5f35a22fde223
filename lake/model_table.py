"""The Delta table of one model, and the three ways a build writes it: each is one commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from lake.errors import BuildError, ConcurrentBuildError
from lake.increments import Plan

logger = logging.getLogger(__name__)

Buckets = frozenset[tuple[str, date]]

LOG_PROPERTIES: Final = {
    "delta.checkpointInterval": "10",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
"""How a model's table is told to keep its log, so that it opens quickly (ADR 123).

A build opens each table a few times, and replaces most files of the days that it touches."""

_WRITER = WriterProperties(
    compression="ZSTD", compression_level=1, dictionary_page_size_limit=64 * 1024
)
"""Each column of each partition that is being written holds a dictionary of its own, by default of
up to 1 MB before it turns out that its values hardly come twice."""


@dataclass(slots=True)
class _Counter:
    """A record batch reader that knows how many rows went through it."""

    rows: int = 0

    def over(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            for batch in reader:
                self.rows += batch.num_rows
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())


def replace_all(plan: Plan, rows: pa.RecordBatchReader, partition_by: Sequence[str]) -> int:
    """Make ``rows`` the whole content, and the columns the table's; return how many they are.

    Raises:
        ConcurrentBuildError: another build wrote the table since the plan was made.
        BuildError: the rows cannot be written.
    """
    table = plan.own.table
    if table is None:
        table = _create(plan, rows.schema, partition_by)
    elif list(partition_by) != table.metadata().partition_columns:
        raise BuildError(
            f"{plan.own.label} is partitioned by {table.metadata().partition_columns}, "
            f"the model asks for {list(partition_by)}",
            hint=f"remove {plan.own.uri} and build again",
        )
    # With a predicate delta-rs checks for files that came meanwhile. Without one a compaction that
    # this build did not see keeps its files, and the old rows are back.
    return _write(plan, table, rows, schema_mode="overwrite", mode="overwrite", predicate="true")


def append(plan: Plan, rows: pa.RecordBatchReader) -> int:
    """Add ``rows``; return how many they are. None at all still records the progress.

    Raises:
        ConcurrentBuildError: another build wrote the table since the plan was made.
        BuildError: the rows cannot be written.
    """
    assert plan.own.table is not None
    return _write(plan, plan.own.table, rows, schema_mode=None, mode="append")


def replace_buckets(plan: Plan, rows: pa.RecordBatchReader, buckets: Buckets) -> int:
    """Make ``rows`` the content of ``buckets``; a bucket without rows ends up empty.

    Raises:
        ConcurrentBuildError: another build wrote the table since the plan was made.
        BuildError: a row is in none of the buckets, or the rows cannot be written.
    """
    table = plan.own.table
    assert table is not None
    if not buckets:
        return append(plan, rows)
    tenant, day = table.metadata().partition_columns
    predicate = _predicate(tenant, day, buckets)
    return _write(plan, table, rows, schema_mode=None, mode="overwrite", predicate=predicate)


def _predicate(tenant: str, day: str, buckets: Buckets) -> str:
    by_tenant: dict[str, list[str]] = {}
    for name, when in sorted(buckets):
        by_tenant.setdefault(name, []).append(f"'{when.isoformat()}'")
    return " OR ".join(
        f"({tenant} = {_text(name)} AND {day} IN ({', '.join(days)}))"
        for name, days in by_tenant.items()
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _create(plan: Plan, schema: pa.Schema, partition_by: Iterable[str]) -> DeltaTable:
    """Make the empty table.

    Creating and filling are two commits: ``write_deltalake`` on a new address lets two builds
    that race both write their rows, whereas two racing creations leave an empty table behind.
    """
    try:
        return DeltaTable.create(
            plan.own.uri,
            schema=schema,
            mode="error",
            partition_by=list(partition_by),
            name=plan.own.label,
            description=f"Written by the dbt model {plan.own.name}.",
            configuration=LOG_PROPERTIES,
            storage_options=plan.own.lake.storage_options,
        )
    except DeltaError as error:
        raise _failure(plan, error) from error


def _write(
    plan: Plan,
    table: DeltaTable,
    rows: pa.RecordBatchReader,
    *,
    schema_mode: str | None,
    mode: str,
    predicate: str | None = None,
) -> int:
    counter = _Counter()
    try:
        write_deltalake(  # type: ignore[call-overload]
            table,
            counter.over(rows),
            mode=mode,
            schema_mode=schema_mode,
            predicate=predicate,
            writer_properties=_WRITER,
            commit_properties=CommitProperties(
                custom_metadata={"lakeward.model": plan.own.label, "lakeward.mode": plan.mode},
                app_transactions=plan.progress(),
            ),
        )
    except CommitFailedError as error:
        raise ConcurrentBuildError(
            f"{plan.own.label} was written by another build while this one ran; "
            "nothing of this one was kept",
            hint="run the build again: it takes up where the other one ended",
        ) from error
    except (DeltaError, OSError, pa.ArrowException, ValueError) as error:
        raise _failure(plan, error) from error
    logger.info(
        "model written",
        extra={
            "model": plan.own.label,
            "mode": plan.mode,
            "rows": counter.rows,
            "version": table.version(),
        },
    )
    return counter.rows


def _failure(plan: Plan, error: Exception) -> BuildError:
    return BuildError(f"{plan.own.label} cannot be written at {plan.own.uri}: {error}")
