"""The files of older versions that still hold a tenant's rows: deleted at once, not after a week.

A table's folder holds more than its present version needs: what compaction and builds have
replaced, and what writes that died have left. Files that the log calls replaced are deleted if a
row of the tenant is in them. A file that the log does not know may belong to a commit that is
about to be made, and deleting it would break the table (delta-rs #3645); so of these only old ones
are deleted, and younger ones are counted.
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
from deltalake.fs import DeltaStorageHandler

from ingest.contracts.exact import TENANT
from lake.erasure.belonging import Belonging
from lake.erasure.reach import Table
from lake.log_files import FOLDER
from lake.maintenance.merge import BATCH_ROWS

logger = logging.getLogger(__name__)

IN_FLIGHT: Final = timedelta(days=1)
"""No commit takes longer from its first file to its log entry."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was done about the files that a table's present version does not need."""

    deleted: int
    """Files that held rows of the tenant."""
    undecided: int
    """Young files that no log entry knows and that hold rows of the tenant: vacuum removes them
    once they are old."""


def delete_leftovers(of: Table, belonging: Belonging, *, now: datetime) -> Leftovers:
    """Delete the files of older versions that hold rows of the tenant; may be run again.

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
        if info.path not in replaced and info.mtime > now - IN_FLIGHT:
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
