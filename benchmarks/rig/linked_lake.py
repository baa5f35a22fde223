"""A lake to write to that shares the files of another: a copy of hard links."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def linked_lake(folder: Path) -> Iterator[Path]:
    """Yield a home whose ``lake`` has the tables of ``folder``, and remove it at the end.

    Files of a Delta table are never changed once they are written, so what is written, compacted or
    vacuumed in the copy leaves the other lake as it is. The copy stands beside it, since links do
    not reach another file system.

    Args:
        folder: a lake's root, or a home with ``lake`` in it.

    Raises:
        FileNotFoundError: there is no lake.
    """
    root = folder / "lake" if (folder / "lake").is_dir() else folder
    if not (root / "gold").is_dir():
        raise FileNotFoundError(f"{folder} is no lake with gold in it")
    root = root.resolve()
    with tempfile.TemporaryDirectory(prefix=".lakeward-bench-", dir=root.parent) as home:
        shutil.copytree(root, Path(home) / "lake", copy_function=os.link)
        yield Path(home)
