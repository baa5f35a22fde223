"""The files of older versions that still hold a tenant's rows: deleted at once, not after a week.

A table's folder holds more than its present version needs: what compaction and builds have
replaced, and what writes that died have left. A file with a row of the tenant is deleted when no
commit can bring it into the table any more; a commit that did would break it (delta-rs #3645). No
commit can when

- the log calls the file replaced;
- it is a day old: no commit takes longer from its first file to its log entry. (What the log has
  forgotten is in this case, since bronze's checkpoints remember replaced files for an hour);
- it is a bronze file whose offsets the table has passed: a writer's commit of them would be fenced,
  and the output of a merge has the tenant's rows from files that are gone from the table, so that
  merge is refused;
- it is a model's and the erasure has moved the model's fence: a build that began before is refused,
  and one that began after has seen the tables without the tenant.

Of others, which are young dead letters and what is just being written, only the number is known;
the next sweep looks at them again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from ingest.contracts.exact import TENANT
from lake.erasure.belonging import Belonging
from lake.erasure.offsets import COORDINATES, by_source
from lake.erasure.reach import Table
from lake.log_files import FOLDER
from lake.maintenance.merge import BATCH_ROWS
from lake.maintenance.readers import MODELLED
from lake.tables import DEAD_LETTERS
from lake.writer.target import WRITER

logger = logging.getLogger(__name__)

IN_FLIGHT: Final = timedelta(days=1)
"""No commit takes longer from its first file to its log entry."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was done about the files that a table's present version does not need."""

    deleted: int
    """Files that held rows of the tenant."""
    undecided: int
    """Files that hold rows of the tenant and that a commit might still bring."""


def delete_leftovers(
    of: Table, belonging: Belonging, *, now: datetime, is_fenced: bool = False
) -> Leftovers:
    """Delete the files of older versions that hold rows of the tenant; may be run again.

    Args:
        of: a table of which no present file holds any.
        belonging: whose rows.
        now: the present.
        is_fenced: the erasure has made a commit in this very table.

    Raises:
        MissingTableError: there is no such table.
    """
    fs = pafs.PyFileSystem(DeltaStorageHandler(of.uri, of.lake.storage_options))
    # the listing first: what is in it and not in the log then was not committed before it
    there = list(_data_files(fs))
    table = of.open()
    live = {unquote(path) for path in pa.table(table.get_add_actions())["path"].to_pylist()}
    replaced = set(table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=False))
    deleted = undecided = 0
    for info in there:
        if info.path in live or not _holds(fs, info.path, belonging):
            continue
        is_gone = info.path in replaced or info.mtime <= now - IN_FLIGHT
        if not is_gone and of.layer in MODELLED:
            is_gone = is_fenced
        elif not is_gone and of.has_offsets and of.name != DEAD_LETTERS:
            is_gone = _is_passed(fs, info.path, table, of.name)
        if not is_gone:
            undecided += 1
            continue
        with contextlib.suppress(FileNotFoundError):  # vacuum, or another run, was quicker
            fs.delete_file(info.path)
        deleted += 1
    if TENANT in table.metadata().partition_columns and not of.lake.is_remote:
        _remove_empty_folders(Path(of.uri), belonging.tenant_id)
    if deleted:
        logger.info("leftovers_deleted", extra={"table": table.table_uri, "files": deleted})
    return Leftovers(deleted, undecided)


def _data_files(fs: pafs.FileSystem) -> Iterator[pafs.FileInfo]:
    for info in fs.get_file_info(pafs.FileSelector("", recursive=True)):
        is_data = info.type == pafs.FileType.File and info.path.endswith(".parquet")
        if is_data and not info.path.startswith(f"{FOLDER}/"):
            yield info


def _holds(fs: pafs.FileSystem, path: str, belonging: Belonging) -> bool:
    """Tell whether a row of the tenant is in a file; of its folder's name if that says it."""
    for part in path.split("/")[:-1]:
        column, _, value = part.partition("=")
        if column == TENANT:
            return unquote(value) == belonging.tenant_id
    try:
        with fs.open_input_file(path) as source, pq.ParquetFile(source) as parquet:
            names = parquet.schema_arrow.names
            if TENANT not in names:
                return False
            columns = belonging.columns(names)
            for batch in parquet.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
                if pc.any(belonging.mask(batch)).as_py():
                    return True
    except FileNotFoundError:
        return False
    except pa.ArrowInvalid:
        return True  # half a file of a write that died: nobody can tell what is in it
    return False


def _is_passed(fs: pafs.FileSystem, path: str, table: DeltaTable, name: str) -> bool:
    """Tell whether the table's stored offsets are at or beyond every offset in a file."""
    writer = table.metadata().configuration.get(WRITER, "")
    try:
        with fs.open_input_file(path) as source, pq.ParquetFile(source) as parquet:
            if not set(COORDINATES) <= set(parquet.schema_arrow.names):
                return False
            found = by_source([parquet.read(columns=list(COORDINATES), use_threads=False)])
    except (FileNotFoundError, pa.ArrowInvalid):
        return False
    for source, offsets in found.items():
        stored = table.transaction_version(source.app_id(writer, name))
        if stored is None or int(offsets.max()) > stored:
            return False
    return True


def _remove_empty_folders(table: Path, tenant_id: str) -> None:
    """Remove the folders that name the tenant; one that is not empty stays."""
    for folder in table.iterdir():
        column, _, value = folder.name.partition("=")
        if column != TENANT or unquote(value) != tenant_id:
            continue
        for inner in (*sorted(folder.rglob("*"), reverse=True), folder):
            if inner.is_dir():
                with contextlib.suppress(OSError):  # not empty
                    inner.rmdir()
