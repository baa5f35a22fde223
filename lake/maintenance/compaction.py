"""Merge small files of one partition at a time; each merge is one fenced commit.

Whoever commits in between is never disturbed: an append does not conflict with a merge, in either
order. A delete, a RESTORE, a schema change or another maintenance run in between makes the merge
fail; then its work is thrown away (the file is left for vacuum: whether a failed commit landed
cannot be known) and planned anew.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction

from lake.errors import LakeError
from lake.maintenance.fence import MAINTENANCE_KEY, fences
from lake.maintenance.groups import File, groups
from lake.maintenance.merge import merge_files
from lake.maintenance.statistics import merged_statistics
from lake.tables import Lake, Layer

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often a table is planned anew after a conflict, before it is left for the next run."""

UNDERSTOOD: Final = frozenset({"appendOnly", "invariants", "timestampNtz"})
"""Table features that do not change what a data file means."""

Partition = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done to a table."""

    files_before: int
    files_after: int
    files_merged: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    conflicts: int = 0
    note: str = ""
    """Why some of it was left."""


def compact(
    lake: Lake,
    layer: Layer,
    name: str,
    *,
    target_size: int,
    now: Callable[[], datetime],
    dry_run: bool = False,
) -> Compacted:
    """Merge the small files of a table until no group is worth it.

    Raises:
        MissingTableError: there is no such table.
    """
    table = lake.open(layer, name)
    done = Compacted(_file_count(table), _file_count(table))
    why_not = not_understood(table)
    if why_not:
        return replace(done, note=f"not compacted: {why_not}")
    conflicts_in_a_row = 0
    while (work := _next_merge(table, target_size)) is not None:
        if dry_run:
            return _planned(table, target_size, done)
        merge = _Merge(lake, table, *work)
        try:
            read, written = merge.run(now())
        except (CommitFailedError, FileNotFoundError) as error:  # an erasure deletes files at once
            conflicts_in_a_row += 1
            done = replace(done, conflicts=done.conflicts + 1)
            logger.info("compaction_yielded", extra={"table": table.table_uri, "why": str(error)})
            if conflicts_in_a_row == ATTEMPTS:
                done = replace(done, note="others kept changing it; the next run goes on")
                break
        else:
            conflicts_in_a_row = 0
            done = replace(
                done,
                files_merged=done.files_merged + len(work[1]),
                bytes_read=done.bytes_read + read,
                bytes_written=done.bytes_written + written,
            )
        table = lake.open(layer, name)
    return replace(done, files_after=_file_count(table))


class _Merge:
    """One group of files on the way to one file."""

    def __init__(
        self, lake: Lake, table: DeltaTable, partition: Partition, files: list[Mapping[str, Any]]
    ) -> None:
        self._table = table
        self._partition = dict(partition)
        self._files = files
        self._fs = pafs.PyFileSystem(DeltaStorageHandler(table.table_uri, lake.storage_options))

    def run(self, now: datetime) -> tuple[int, int]:
        """Write the file and commit it; return the bytes read and written.

        Raises:
            CommitFailedError: somebody was quicker; nothing has changed.
            LakeError: the files do not hold what the log says.
        """
        table, files = self._table, self._files
        columns = table.metadata().partition_columns
        schema = pa.schema(
            [field for field in pa.schema(table.schema().to_arrow()) if field.name not in columns]
        )
        paths = [unquote(file["path"]) for file in files]
        folder = paths[0].rpartition("/")[0]
        into = f"{folder}/part-{uuid4()}-c000.zstd.parquet".lstrip("/")
        rows = merge_files(self._fs, paths, into, schema)
        expected = [file["num_records"] for file in files]
        if None not in expected and rows != sum(expected):
            raise LakeError(
                f"{table.table_uri}: {len(files)} files hold {rows:,} rows, and the log says "
                f"{sum(expected):,}; nothing was changed",
                hint="Is a data file damaged? `lakeward audit` tells what is missing.",
            )
        size = self._fs.get_file_info([into])[0].size
        if size is None:  # it could not land any more, and an erasure has deleted it
            raise FileNotFoundError(into)
        moment = int(now.timestamp() * 1000)
        read = sum(file["size_bytes"] for file in files)
        table.create_write_transaction(
            [
                AddAction(
                    into, size, self._partition, moment, False, merged_statistics(files, rows)
                ),
                *(
                    RemoveAction(path, False, moment, file["size_bytes"], self._partition)
                    for path, file in zip(paths, files, strict=True)
                ),
            ],
            "append",
            table.schema(),
            columns,
            commit_properties=CommitProperties(
                custom_metadata={
                    MAINTENANCE_KEY: {
                        "did": "compact",
                        "files": len(files),
                        "rows": rows,
                        "bytes_before": read,
                        "bytes_after": size,
                    },
                    # what delta-rs says of its own appends: nothing came
                    "operationMetrics": {"num_added_rows": 0, "num_added_files": 1},
                },
                app_transactions=fences(table),
            ),
        )
        logger.info(
            "compacted", extra={"table": table.table_uri, "files": len(files), "rows": rows}
        )
        return read, size


def _next_merge(
    table: DeltaTable, target_size: int
) -> tuple[Partition, list[Mapping[str, Any]]] | None:
    """Return the files of the first group that is worth it."""
    for partition, files in _by_partition(table).items():
        for group in _groups(files, target_size):
            return partition, group
    return None


def _by_partition(table: DeltaTable) -> dict[Partition, list[Mapping[str, Any]]]:
    columns = table.metadata().partition_columns
    found: dict[Partition, list[Mapping[str, Any]]] = defaultdict(list)
    for file in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        values = ((column, file[f"partition.{column}"]) for column in columns)
        key = tuple((column, None if value is None else str(value)) for column, value in values)
        found[key].append(file)
    return found


def _groups(files: list[Mapping[str, Any]], target_size: int) -> list[list[Mapping[str, Any]]]:
    """Return the groups to merge, each in the order in which its files were written."""
    by_path = {file["path"]: file for file in files}
    found = groups((File(file["path"], file["size_bytes"]) for file in files), target_size)
    return [
        sorted(
            (by_path[file.path] for file in group),
            key=lambda file: (file["modification_time"], file["path"]),
        )
        for group in found
    ]


def _planned(table: DeltaTable, target_size: int, done: Compacted) -> Compacted:
    """Return what a first round would merge."""
    merged = size = count = 0
    for files in _by_partition(table).values():
        for group in _groups(files, target_size):
            count += 1
            merged += len(group)
            size += sum(file["size_bytes"] for file in group)
    return replace(
        done, files_after=done.files_before - merged + count, files_merged=merged, bytes_read=size
    )


def _file_count(table: DeltaTable) -> int:
    return len(table.file_uris())


def not_understood(table: DeltaTable) -> str:
    """Return why the rows of a table cannot be moved to other files; empty when they can."""
    protocol = table.protocol()
    strange = {
        *(protocol.reader_features or []),
        *(protocol.writer_features or []),
    } - UNDERSTOOD
    if strange:
        return f"it uses {', '.join(sorted(strange))}"
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        return "it uses column mapping"
    return ""
