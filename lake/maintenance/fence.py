"""What makes a maintenance commit recognisable, and two of them at once impossible.

delta-rs lets two compactions that began on one snapshot both commit, and every row they moved is
there twice; it also lets a whole-table overwrite that began before a compaction commit after it,
which brings the old rows back. (Both seen on deltalake 1.6.6: its ``optimize`` does not put the
caller's transaction ids into the commit, so they cannot fence it.) Therefore each compaction here
is one commit that moves a transaction id of its own, on the very handle it was planned with: of
two, the second fails. On a model's table it moves the model's fence as well, so that a build and a
compaction exclude each other in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deltalake import DeltaTable, Transaction

from lake.delta_log import read_commit_infos

MAINTENANCE_KEY: Final = "lakeward.maintenance"
"""The key of the commit info that marks a commit which moved rows and changed none."""

FENCE: Final = "lakeward:maintenance"
"""Transaction id of a table: the number of its compactions."""

CHANGES_NO_ROW: Final = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES"})
"""What delta-rs calls its own operations of that kind."""

BUILD_FENCE: Final = "dbt:build"
"""The models' own (``lake.increments.FENCE``)."""


def fences(table: DeltaTable) -> list[Transaction]:
    """Return the transactions that a maintenance commit on this very handle must carry."""
    count = table.transaction_version(FENCE)
    moved = [Transaction(FENCE, 0 if count is None else count + 1)]
    builds = table.transaction_version(BUILD_FENCE)
    if builds is not None:
        moved.append(Transaction(BUILD_FENCE, builds + 1))
    return moved


def is_maintenance(commit_info: Mapping[str, Any]) -> bool:
    """Tell whether a commit moved rows to other files, or none at all, and changed none."""
    return MAINTENANCE_KEY in commit_info or commit_info.get("operation") in CHANGES_NO_ROW


def step_over_maintenance(table: DeltaTable, storage_options: dict[str, str] | None) -> bool:
    """Bring a handle to the head, when nothing but maintenance has come since.

    For a build that maintenance overtook: its rows are as right as they were, and only the files
    that it would replace have other names now.

    Returns:
        False when anybody else has committed, or nobody has; the handle is as it was then.
    """
    head = DeltaTable(table.table_uri, storage_options=storage_options)
    infos = read_commit_infos(head, table.version(), storage_options)
    if not infos or len(infos) < head.version() - table.version():
        return False
    if not all(is_maintenance(info) for _, info in infos):
        return False
    table.load_as_version(head.version())
    return True
