"""At most one ``lakeward up`` for a home."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.errors import HomeInUseError


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold ``<home>/up.lock``; the kernel lets go of it however this process ends.

    Raises:
        HomeInUseError: another process holds it, or the folder cannot be written to.
    """
    path = home / "up.lock"
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise HomeInUseError(
            f"cannot write to {home}: {error.strerror}",
            hint="Set LAKEWARD_HOME to a folder you may write to.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise HomeInUseError(
                f"`lakeward up` already runs for {home} (process {owner})",
                hint="Stop that one first, or set LAKEWARD_HOME to another folder.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
