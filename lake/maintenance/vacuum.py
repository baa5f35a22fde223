"""Delete data files that no version within the retention needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deltalake import DeltaTable

from lake.maintenance.readers import Waiting

HOUR: Final = timedelta(hours=1)
RETENTION_PROPERTY: Final = "delta.deletedFileRetentionDuration"
DEFAULT_RETENTION: Final = timedelta(days=7)
"""Delta's own, where a table does not say."""


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What vacuum removed, or would."""

    files: int
    kept_hours: int
    """Files that were replaced, or written, within so many hours were kept."""


def vacuum(
    table: DeltaTable,
    retention: timedelta,
    waiting: Waiting | None,
    *,
    now: datetime,
    dry_run: bool = False,
) -> Vacuumed:
    """Remove files that were replaced before the retention, and leftovers of writes that died.

    Both by age: a file that an append in flight has written and not yet committed is younger than
    any retention.

    Args:
        table: at its head.
        retention: the longest that a reader holds on to a version.
        waiting: the model that is furthest behind; what it has not read is kept as well.
        now: the present.
        dry_run: only count.
    """
    hours = math.ceil(retention / HOUR)
    if waiting is not None:
        hours = max(hours, math.ceil((now - waiting.since) / HOUR) + 1)
    files = table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
    if files and not dry_run:  # an empty one would still make two commits
        table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    return Vacuumed(len(files), hours)


def set_retention(table: DeltaTable, retention: timedelta) -> bool:
    """Make the table remember replaced files for as long as they are to be kept.

    Checkpoints forget a replaced file after the table's own retention; then its age since it was
    written is all that vacuum could go by.

    Returns:
        True when the table's property was changed.

    Raises:
        CommitFailedError: somebody changed the table at the same moment.
    """
    days = max(1, math.ceil(retention / timedelta(days=1)))
    told = table.metadata().configuration.get(RETENTION_PROPERTY)
    wanted = f"interval {days} days"
    if told == wanted or (told is None and timedelta(days=days) == DEFAULT_RETENTION):
        return False
    table.alter.set_table_properties({RETENTION_PROPERTY: wanted})
    return True
