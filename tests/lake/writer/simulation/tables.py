"""An account of the tables that does not use the code under test, nor delta-rs.

It reads the log entries and the Parquet files they add, each once, and so stays quick.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from lake.tables import DEAD_LETTERS, Lake

Place = tuple[str, str, int, int]
"""Topic, topic id, partition, offset."""


@dataclass
class Account:
    """What the bronze tables and the dead letters hold, kept up to date commit by commit."""

    lake: Lake
    tables: tuple[str, ...]
    rows: Counter[Place] = field(default_factory=Counter)
    dead: Counter[Place] = field(default_factory=Counter)
    content: dict[Place, Any] = field(default_factory=dict)
    """The event id of a row, the payload of a dead letter."""
    versions: dict[str, int] = field(default_factory=dict)

    def catch_up(self) -> list[Place]:
        """Read the commits made since the last time; return the places of new rows."""
        found: list[Place] = []
        for table in self.tables:
            root = Path(self.lake.uri("bronze", table))
            version = self.versions.get(table, 0)
            while (entry := root / "_delta_log" / f"{version:020}.json").exists():
                for line in entry.read_text().splitlines():
                    action = json.loads(line)
                    if "add" in action and action["add"]["dataChange"]:
                        found += self._add(table, root / unquote(action["add"]["path"]))
                version += 1
            self.versions[table] = version
        return found

    def _add(self, table: str, path: Path) -> list[Place]:
        content = "payload" if table == DEAD_LETTERS else "event_id"
        names = ["_topic", "_topic_id", "_partition", "_offset", content]
        rows = pq.read_table(path, columns=names, partitioning=None)
        columns = [rows[name].to_pylist() for name in names]
        places: list[Place] = list(zip(*columns[:4], strict=True))
        (self.dead if table == DEAD_LETTERS else self.rows).update(places)
        self.content.update(zip(places, columns[4], strict=True))
        return places

    def settled(self) -> set[Place]:
        """Every place that is in some table."""
        return {*self.rows, *self.dead}
