"""Delete data files that no version within the retention needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deltalake import DeltaTable

from lake.log_files import LogFiles
from lake.maintenance.log_cleanup import openable_before
from lake.maintenance.readers import Waiting

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What vacuum removed, or would."""

    files: int
    kept_hours: int
    """Files that were replaced, or written, within so many hours were kept."""


def vacuum(
    table: DeltaTable,
    log: LogFiles,
    retention: timedelta,
    waiting: Waiting | None,
    *,
    now: datetime,
    dry_run: bool = False,
) -> Vacuumed:
    """Remove files that were replaced before the retention, and leftovers of writes that died.

    A file of a version within the retention was in the version with which it began, or was written
    since. So two things keep a file: the one version, and its age. What checkpoints remember of
    replaced files is not needed for it, nor what they have forgotten. A file that an append in
    flight has written and not yet committed is younger than any retention.

    Args:
        table: at its head.
        log: the table's.
        retention: the longest that a reader holds on to a version.
        waiting: the model that is furthest behind; what it has not read is kept as well.
        now: the present.
        dry_run: only count.
    """
    hours = math.ceil(retention / HOUR)
    if waiting is not None:
        hours = max(hours, math.ceil((now - waiting.since) / HOUR) + 1)
    version, older = openable_before(log, now - hours * HOUR)
    age = hours + math.ceil(older / HOUR)
    keep = None if version is None else [version]

    def run(*, dry: bool) -> list[str]:
        return table.vacuum(
            age, dry_run=dry, enforce_retention_duration=False, full=True, keep_versions=keep
        )

    files = run(dry=True)
    if files and not dry_run:  # an empty one would still make two commits
        run(dry=False)
    return Vacuumed(len(files), hours)
