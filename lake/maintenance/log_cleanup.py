"""Checkpoints, so that opening a table does not read its whole log; and a log that ends somewhere.

delta-rs writes a checkpoint with every hundredth version by itself, in the process whose commit it
was; if that process dies just then, the next one is a hundred versions away. So maintenance makes
one too. Cleaning is done here and not by ``cleanup_metadata``, because nothing may go that is not
folded yet, and delta-rs knows no such bound.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deltalake import DeltaTable

from lake.log_files import LogFile, LogFiles

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY: Final = 10
"""Commits after the last checkpoint that are worth a new one."""

SPARSE: Final = timedelta(hours=1)
"""Of what is older than the log's begin, one checkpoint in so much time stays: its version can be
opened, and vacuum goes by it."""

_WHOLE: Final = re.compile(r"\d{20}\.checkpoint\.parquet$")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed from a log, or would be."""

    files: int
    first_version: int
    """The first version from which on every one can still be opened."""


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
    most: int | None = None,
    read_to: int | None = None,
    dry_run: bool = False,
) -> Cleaned:
    """Remove what is older than a checkpoint that is itself old, or many commits back.

    Oldest first, so that a run that dies leaves a log that begins later and has no hole. Every
    version from that checkpoint on can still be opened, and has its commit. Before it a checkpoint
    an hour stays for as long as versions are to be opened.

    Args:
        log: of one table.
        keep: how long versions can be opened.
        most: how many commits there may be, whatever their age; None: any number.
        read_to: more than ``most`` stay where a model has not read beyond this version; None: no
            model holds any back.
        folded_to: what came after this version must stay, since it is not folded; None: there is
            nothing to fold.
        now: the present.
        dry_run: only count.
    """
    files = log.list()
    commits = [file.version for file in files if file.kind == "commit"]
    spare = -1 if most is None or not commits else commits[-1] - most
    if read_to is not None:
        spare = min(spare, read_to + 1)
    begin = _first_to_keep(files, now - keep, spare, folded_to)
    sparse = set(_sparse(files, now - keep, begin or 0))
    old = [file for file in files if file.version < (begin or 0) and file not in sparse]
    first = min((version for version in commits if version >= (begin or 0)), default=0)
    if not dry_run:
        for file in old:
            log.delete(file)
        if old:
            logger.info("log_cleaned", extra={"files": len(old), "first_version": first})
    return Cleaned(len(old), first)


def openable_before(log: LogFiles, moment: datetime) -> tuple[int | None, timedelta]:
    """Return the newest version before a moment that can be opened, and how much older it is.

    The time is zero when that version was the head at the moment. None: the log has no version so
    old, and then the oldest that there is would have to do.
    """
    files = log.list()
    found = [f for f in files if f.modified_at <= moment and (f.kind == "commit" or _is_whole(f))]
    if not found:
        return None, timedelta(0)
    last = max(found, key=lambda file: file.version)
    is_followed = any(f.kind == "commit" and f.version == last.version + 1 for f in files)
    is_head = last.version == files[-1].version
    return last.version, timedelta(0) if is_followed or is_head else moment - last.modified_at


def _first_to_keep(
    files: Iterable[LogFile], before: datetime, spare: int, folded_to: int | None
) -> int | None:
    """Return the newest checkpoint that is old enough and behind which all is folded.

    Up to the version ``spare`` every one is old enough.
    """
    commits = {file.version: file for file in files if file.kind == "commit"}
    found = [
        file.version
        for file in files
        if _is_whole(file)
        and file.version in commits
        and (commits[file.version].modified_at < before or file.version <= spare)
        and (folded_to is None or file.version <= folded_to + 1)
    ]
    return max(found, default=None)


def _sparse(files: Iterable[LogFile], after: datetime, begin: int) -> Iterator[LogFile]:
    """Yield the last checkpoint of each hour since ``after`` and before the version ``begin``."""
    hours: dict[int, LogFile] = {}
    for file in files:
        if file.version < begin and _is_whole(file) and file.modified_at >= after:
            hours[int(file.modified_at.timestamp() // SPARSE.total_seconds())] = file
    yield from hours.values()


def _is_whole(file: LogFile) -> bool:
    """True for a checkpoint in one file; of one in several, some may be missing."""
    return file.kind == "checkpoint" and _WHOLE.search(file.path) is not None
