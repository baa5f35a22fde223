"""The files in a Delta table's ``_delta_log``: which there are, how old, and removing them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

FOLDER: Final = "_delta_log"

_NAME: Final = re.compile(r"(\d{20})\.(json|checkpoint(?:\.[^/]*)?\.parquet|checkpoint\.[^/]+)$")


@dataclass(frozen=True, slots=True)
class LogFile:
    """A commit, or a checkpoint (some have several files)."""

    version: int
    kind: Literal["commit", "checkpoint"]
    path: str
    """Relative to the table."""
    modified_at: datetime
    """By the store's clock, UTC."""


class LogFiles:
    """The log of one table."""

    def __init__(self, uri: str, storage_options: dict[str, str] | None) -> None:
        self._fs = pafs.PyFileSystem(DeltaStorageHandler(uri, storage_options))

    def list(self) -> list[LogFile]:
        """Return all commits and checkpoints, by version."""
        found = []
        for info in self._fs.get_file_info(pafs.FileSelector(FOLDER, allow_not_found=True)):
            match = _NAME.match(info.base_name)
            if match is not None:
                kind: Literal["commit", "checkpoint"] = (
                    "commit" if match[2] == "json" else "checkpoint"
                )
                found.append(LogFile(int(match[1]), kind, info.path, info.mtime))
        return sorted(found, key=lambda file: (file.version, file.kind))

    def delete(self, file: LogFile) -> None:
        """Remove one file; that it is gone already is no error."""
        try:
            self._fs.delete_file(file.path)
        except FileNotFoundError:
            return


def log_files(table: DeltaTable, storage_options: dict[str, str] | None) -> LogFiles:
    """Return the log of an opened table."""
    return LogFiles(table.table_uri, storage_options)
