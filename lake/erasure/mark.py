"""What makes a commit recognisable that erased rows, and says what it did with each file.

Such a commit moves the rows that stay to other files, as compaction does, and says so in the same
way: ``dataChange`` is false, so neither the writer nor a model is disturbed by it. Its commit info
says for each file that is gone which one has the rows that stay. A model that has not read the old
file yet reads the new one instead (``lake.delta_log.read_changes``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ERASURE_KEY: Final = "lakeward.erasure"
"""The key of the commit info that marks a commit which erased rows."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What one commit of an erasure did to its table."""

    erasure_id: str
    rows: int
    """Rows that are gone."""
    replaced: Mapping[str, str | None]
    """For each file that is gone, as the log names it, the one with the rows that stay; None when
    no row of it stays."""

    def as_commit_info(self) -> dict[str, Any]:
        """Return what goes into the commit info."""
        return {
            ERASURE_KEY: {
                "erasure_id": self.erasure_id,
                "rows": self.rows,
                "replaced": dict(self.replaced),
            },
            "operationMetrics": {"num_added_rows": 0},
        }


def mark_in(commit_info: Mapping[str, Any]) -> Mark | None:
    """Return what an erasure left in a commit info; None for any other commit."""
    found = commit_info.get(ERASURE_KEY)
    if found is None:
        return None
    return Mark(found["erasure_id"], found["rows"], found["replaced"])
