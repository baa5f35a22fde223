"""Checkpoints, so that opening a table does not read its whole log; and a log that ends somewhere.

delta-rs writes a checkpoint with every hundredth version by itself, in the process whose commit it
was; if that process dies just then, the next one is a hundred versions away. So maintenance makes
one too. Cleaning is done here and not by ``cleanup_metadata``, because nothing may go that is not
folded yet, and delta-rs knows no such bound.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deltalake import DeltaTable

from lake.log_files import LogFile, LogFiles

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY: Final = 10
"""Commits after the last checkpoint that are worth a new one."""

_WHOLE: Final = re.compile(r"\d{20}\.checkpoint\.parquet$")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed from a log, or would be."""

    files: int
    first_version: int
    """The first version that can still be opened."""


def checkpoint(table: DeltaTable, log: LogFiles, *, dry_run: bool = False) -> bool:
    """Make a checkpoint of the version ``table`` is at, when the last one is far back."""
    last = max((file.version for file in log.list() if _is_whole(file)), default=-1)
    if table.version() - last < CHECKPOINT_EVERY:
        return False
    if not dry_run:
        table.create_checkpoint()
    return True


def clean(
    log: LogFiles,
    keep: timedelta,
    *,
    folded_to: int | None,
    now: datetime,
    dry_run: bool = False,
) -> Cleaned:
    """Remove what is older than a checkpoint that is itself older than ``keep``.

    Oldest first, so that a run that dies leaves a log that begins later and has no hole. Every
    version from that checkpoint on can still be opened, and has its commit.

    Args:
        log: of one table.
        keep: how long versions can be opened.
        folded_to: what came after this version must stay, since it is not folded; None: there is
            nothing to fold.
        now: the present.
        dry_run: only count.
    """
    files = log.list()
    begin = _first_to_keep(files, now - keep, folded_to)
    old = [file for file in files if begin is not None and file.version < begin]
    first = min((f.version for f in files if f.version >= (begin or 0)), default=0)
    if not dry_run:
        for file in old:
            log.delete(file)
        if old:
            logger.info("log_cleaned", extra={"files": len(old), "first_version": first})
    return Cleaned(len(old), first)


def _first_to_keep(files: Iterable[LogFile], before: datetime, folded_to: int | None) -> int | None:
    """Return the newest checkpoint that is old enough and behind which all is folded."""
    commits = {file.version: file for file in files if file.kind == "commit"}
    found = [
        file.version
        for file in files
        if _is_whole(file)
        and file.version in commits
        and commits[file.version].modified_at < before
        and (folded_to is None or file.version <= folded_to + 1)
    ]
    return max(found, default=None)


def _is_whole(file: LogFile) -> bool:
    """True for a checkpoint in one file; of one in several, some may be missing."""
    return file.kind == "checkpoint" and _WHOLE.search(file.path) is not None
