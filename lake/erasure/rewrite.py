"""Take a tenant's rows out of one Delta table: each commit rewrites some files, or drops them.

The commit is made like one of compaction (ADR 037): it moves the maintenance fence, and on a
model's table the model's, on the very handle it was planned with, so that a compaction, a build or
another erasure in between makes it fail, and it is planned anew. An append does not conflict with
it, in either order. So nothing can come back, and the writer is not disturbed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction

from ingest.contracts.exact import TENANT
from lake.erasure.belonging import Doomed
from lake.erasure.file_statistics import statistics_of
from lake.erasure.mark import Mark
from lake.erasure.offsets import COORDINATES, Offsets, by_source
from lake.erasure.reach import Table
from lake.errors import ErasureError
from lake.maintenance.compaction import not_understood
from lake.maintenance.fence import fences
from lake.maintenance.merge import BATCH_ROWS, merge_files
from lake.writer.source import Source

logger = logging.getLogger(__name__)

FILES_A_COMMIT: Final = 200
BYTES_A_COMMIT: Final = 512 * 2**20
"""A commit ends here at the latest: what a conflict throws away, and a kill repeats."""

ATTEMPTS: Final = 20
"""How often in a row a commit is planned anew because others were quicker."""

File = Mapping[str, Any]
Announce = Callable[[Mapping[Source, Offsets]], None]


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that holds rows of the tenant."""

    file: File
    rows: int
    """How many are the tenant's."""
    total: int
    offsets: Mapping[Source, Offsets]


class TableErasure:
    """One table of one lake, and what is to go from it."""

    def __init__(self, table: Table, belonging: Doomed, erasure_id: str) -> None:
        self._table = table
        self._belonging = belonging
        self._erasure_id = erasure_id
        self._clean: set[str] = set()
        """Files that hold no row of the tenant; they are not read again."""
        self._fs = pafs.PyFileSystem(DeltaStorageHandler(table.uri, table.lake.storage_options))

    def skip(self, table: DeltaTable) -> None:
        """Take the files of a version that is known to hold no row of the tenant as clean."""
        self._clean.update(pa.table(table.get_add_actions())["path"].to_pylist())

    def is_clean(self) -> bool:
        """Tell whether no file of the present version holds a row of the tenant."""
        return not self._next_group(self._table.open())

    def run(
        self,
        announce: Announce | None,
        now: Callable[[], datetime],
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> tuple[int, int, int]:
        """Erase until no file holds a row of the tenant.

        Args:
            announce: is told, before each commit, of the offsets that it will erase.
            now: stamps the files.
            on_progress: called after each file with how many rows are erased, or will be by the
                commit that is being made.

        Returns:
            How many rows went, how many files were replaced or dropped, and the version that holds
            none.

        Raises:
            ErasureError: the table has features that lakeward does not understand, or others kept
                changing it.
        """
        erased = files = conflicts = 0
        while True:
            table = self._table.open()
            why_not = not_understood(table)
            if why_not:
                raise ErasureError(
                    f"{self._table.label} cannot be erased from: {why_not}",
                    hint="Remove that feature from the table, and run the erasure again.",
                )
            try:
                group = self._next_group(table)
                if not group:
                    return erased, files, table.version()
                if announce is not None:
                    announce(_united(found.offsets for found in group))
                self._commit(table, group, now(), lambda rows: on_progress(erased + rows))  # noqa: B023
            except (CommitFailedError, FileNotFoundError) as error:
                conflicts += 1
                logger.info("erasure_yielded", extra={"table": self._table.uri, "why": str(error)})
                if conflicts == ATTEMPTS:
                    raise ErasureError(
                        f"others kept changing {self._table.label} while rows of "
                        f"{self._belonging} were to be erased from it",
                        hint="Run it again: it goes on where it stopped.",
                    ) from error
            else:
                conflicts = 0
                erased += sum(found.rows for found in group)
                files += len(group)

    def _next_group(self, table: DeltaTable) -> list[_Found]:
        """Return some files that hold rows of the tenant; none when the table is clean."""
        columns = table.metadata().partition_columns
        group: list[_Found] = []
        size = 0
        for file in pa.table(table.get_add_actions(flatten=True)).to_pylist():
            if file["path"] in self._clean or not self._belonging.may_hold(file, columns):
                continue
            found = self._look_into(file, columns)
            if not found.rows:
                self._clean.add(file["path"])
                continue
            group.append(found)
            size += file["size_bytes"]
            if len(group) == FILES_A_COMMIT or size >= BYTES_A_COMMIT:
                break
        return group

    def _look_into(self, file: File, partition_columns: Sequence[str]) -> _Found:
        whole = TENANT in partition_columns
        wanted = list(COORDINATES) if self._table.has_offsets else []
        parts: list[pa.Table] = []
        mine = total = 0
        for batch in self._batches(unquote(file["path"]), wanted, whole=whole):
            mask = None if whole else self._belonging.mask(batch)
            theirs = batch.num_rows if mask is None else pc.sum(mask).as_py() or 0
            mine += theirs
            total += batch.num_rows
            if wanted and theirs:
                rows = pa.table(batch if mask is None else batch.filter(mask)).select(wanted)
                parts.append(rows)
        return _Found(file, mine, total, by_source(parts))

    def _batches(self, path: str, wanted: list[str], *, whole: bool) -> Iterator[pa.RecordBatch]:
        with self._fs.open_input_file(path) as source, pq.ParquetFile(source) as parquet:
            names = parquet.schema_arrow.names
            if not whole and TENANT not in names:
                return  # older than the column
            columns = wanted if whole else [*wanted, *self._belonging.columns(names)]
            if not columns:  # only how many rows there are is of interest
                columns = names[:1]
            yield from parquet.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)

    def _commit(
        self,
        table: DeltaTable,
        group: Sequence[_Found],
        now: datetime,
        on_rows: Callable[[int], None],
    ) -> None:
        """Write the files of the rows that stay, and put them in the place of the old ones.

        Raises:
            CommitFailedError: somebody was quicker; nothing has changed.
        """
        columns = table.metadata().partition_columns
        schema = pa.schema(
            [field for field in pa.schema(table.schema().to_arrow()) if field.name not in columns]
        )
        moment = int(now.timestamp() * 1000)
        actions: list[AddAction | RemoveAction] = []
        replaced: dict[str, str | None] = {}
        rows_done = 0
        for found in group:
            path = unquote(found.file["path"])
            values = (found.file[f"partition.{column}"] for column in columns)
            partition = {
                column: None if value is None else str(value)
                for column, value in zip(columns, values, strict=True)
            }
            replaced[path] = None
            if found.rows < found.total:
                into = f"{path.rpartition('/')[0]}/part-{uuid4()}-c000.zstd.parquet".lstrip("/")
                rows = merge_files(self._fs, [path], into, schema, keep=self._keep)
                if rows != found.total - found.rows:
                    raise ErasureError(
                        f"{table.table_uri}: {path} had {found.total:,} rows, {found.rows:,} of "
                        f"them to be erased, and {rows:,} are left; nothing was changed",
                        hint="Is the file damaged? `lakeward audit` tells what is missing.",
                    )
                size = self._fs.get_file_info([into])[0].size
                statistics = statistics_of(self._fs, into, found.file)
                actions.append(AddAction(into, size, partition, moment, False, statistics))
                replaced[path] = into
            actions.append(RemoveAction(path, False, moment, found.file["size_bytes"], partition))
            rows_done += found.rows
            on_rows(rows_done)
        mark = Mark(self._erasure_id, sum(found.rows for found in group), replaced)
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            columns,
            commit_properties=CommitProperties(
                custom_metadata=mark.as_commit_info(), app_transactions=fences(table)
            ),
        )
        logger.info(
            "erased", extra={"table": table.table_uri, "files": len(group), "rows": mark.rows}
        )

    def _keep(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        return rows.filter(pc.invert(self._belonging.mask(rows)))


def _united(parts: Iterable[Mapping[Source, Offsets]]) -> dict[Source, Offsets]:
    found: dict[Source, list[Offsets]] = defaultdict(list)
    for part in parts:
        for source, offsets in part.items():
            found[source].append(offsets)
    return {source: np.concatenate(theirs) for source, theirs in found.items()}
