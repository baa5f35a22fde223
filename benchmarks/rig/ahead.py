"""A history that was made ahead, brought into a lake some days at a time.

Models are built over it in steps, as they would have been while it came to be, and more than once
without making it anew. Its data files are linked, not copied; the commits of its log are copied
as they are, so they tell the same offsets, transactions and ranges.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable

from benchmarks.rig.history import journal_of
from lake.tables import Lake


def days_in(lake: Lake) -> int:
    """Return how many days, or other slices, the history in ``lake`` has."""
    journal = journal_of(lake)
    return len(journal.read_text().splitlines()) if journal.exists() else 0


def bring(ahead: Lake, lake: Lake, days: int) -> None:
    """Make the first ``days`` days of ``ahead`` the history of ``lake``, which has fewer."""
    for table in sorted((Path(ahead.root) / "bronze").iterdir()):
        there = Path(lake.root) / "bronze" / table.name
        commits = sorted((table / "_delta_log").glob("*.json"))
        for commit in commits[: 1 + days]:  # the first one made the table
            _bring_commit(table, there, commit)
        DeltaTable(str(there)).create_checkpoint()  # as the writer does now and then
    lines = journal_of(ahead).read_text().splitlines(keepends=True)
    _write_whole(journal_of(lake), "".join(lines[:days]))


def _bring_commit(table: Path, there: Path, commit: Path) -> None:
    copy = there / "_delta_log" / commit.name
    if copy.exists():
        return
    for line in commit.read_text().splitlines():
        action = json.loads(line)
        if "add" in action:
            path = unquote(action["add"]["path"])
            (there / path).parent.mkdir(parents=True, exist_ok=True)
            if not (there / path).exists():
                os.link(table / path, there / path)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(commit, copy.with_suffix(".part"))
    copy.with_suffix(".part").rename(copy)


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)
