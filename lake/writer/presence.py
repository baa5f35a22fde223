"""Is a writer at work on this machine? Told by a lock, because the embedded broker cannot tell.

The embedded broker does not list the members of a consumer group, and its writers take partitions
without a group anyway. But it serves one machine only, so a file of its home is enough. The kernel
lets go of the lock however a writer ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def present(home: Path) -> Iterator[None]:
    """Count as a writer at work while the block runs; any number may at the same time."""
    path = _path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_present(home: Path) -> bool:
    """True while another process, or another part of this one, is ``present``."""
    try:
        file = _path(home).open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _path(home: Path) -> Path:
    return home / "broker" / "writer.lock"
