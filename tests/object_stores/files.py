"""The files of a lake by their paths below its root, whether it is on a disk or in a store."""

from __future__ import annotations

import os
from pathlib import Path

from pyarrow.fs import (
    FileSelector,
    FileSystem,
    FileType,
    LocalFileSystem,
    S3FileSystem,
    SubTreeFileSystem,
)

from lake.tables import Lake


def files(lake: Lake) -> FileSystem:
    """Read, list and write them."""
    if lake.is_remote:
        store = S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
        return SubTreeFileSystem(lake.root.removeprefix("s3://"), store)
    Path(lake.root).mkdir(parents=True, exist_ok=True)
    return SubTreeFileSystem(lake.root, LocalFileSystem())


def paths(lake: Lake) -> list[str]:
    """Return every file's path."""
    infos = files(lake).get_file_info(FileSelector("", recursive=True))
    return sorted(info.path for info in infos if info.type == FileType.File)
