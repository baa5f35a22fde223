"""What happened to the bronze tables since somebody last looked, from the Delta log alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deltalake import DeltaTable

from lake.delta_log import read_commit_infos
from lake.tables import Lake

COMMITS_READ = 2_000
"""After a longer absence the commits are not read one by one; the table counts as moved."""

ADDS_NO_ROWS = frozenset(
    {"CREATE TABLE", "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMN"}
)
"""Operations after which the models have nothing new to read."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one bronze table has come."""

    table: str
    version: int
    rows: int | None
    """Rows appended since the version last seen; None when that is not known."""
    commits: int
    """Commits since the version last seen."""

    @property
    def has_new_rows(self) -> bool:
        """False only when it is certain that nothing was added (compaction, vacuum, empty)."""
        return self.rows is None or self.rows > 0


def progress(lake: Lake, tables: Iterable[str], seen: Mapping[str, int]) -> list[Progress]:
    """Return the bronze tables whose version is another than in ``seen``, in the given order.

    A table that is not in ``seen``, or whose version went back because it was made anew, counts
    from its beginning.
    """
    found = []
    for name in tables:
        if not lake.exists("bronze", name):
            continue
        table = lake.open("bronze", name)
        version, last = table.version(), seen.get(name)
        if version == last:
            continue
        if last is None or version < last:
            last = -1
        found.append(
            Progress(name, version, _rows_added(table, last, lake.storage_options), version - last)
        )
    return found


def _rows_added(
    table: DeltaTable, after: int, storage_options: dict[str, str] | None
) -> int | None:
    commits = table.version() - after
    if commits > COMMITS_READ:
        return None
    infos = read_commit_infos(table, after, storage_options)
    if len(infos) < commits:
        return None  # the log was cleaned up in between
    added = [_rows_of(info) for _, info in infos]
    return None if None in added else sum(rows for rows in added if rows is not None)


def _rows_of(commit: Mapping[str, Any]) -> int | None:
    operation = commit.get("operation")
    if operation in ADDS_NO_ROWS:
        return 0
    if operation != "WRITE":
        return None
    rows = commit.get("operationMetrics", {}).get("num_added_rows")
    return None if rows is None else int(rows)
