"""A lake with a writer on it, and rounds of maintenance at any moment a test likes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from deltalake import DeltaTable

from lake.audit import AuditReport
from lake.maintenance.run import Maintained, Options, maintain
from lake.tables import Lake, Layer
from lake.writer.sink import Sink
from tests.lake.writer.bench import P0, P1, Bench, batch, poison, visit

NOTHING_KEPT = timedelta(0)


@dataclass
class Rounds:
    """Commits of ten messages a partition, every tenth of them poison; and maintenance."""

    bench: Bench
    sink: Sink
    next: int = 0
    """The offset that comes next, the same in both partitions."""
    options: Options = field(
        default_factory=lambda: Options(2**20, timedelta(days=7), timedelta(days=30))
    )

    @classmethod
    def at(cls, folder: Path) -> Self:
        return cls.on(Lake(str(folder / "lake")))

    @classmethod
    def on(cls, lake: Lake) -> Self:
        bench = Bench(lake)
        sink = bench.sink()
        bench.take_over(sink, P0, P1)
        return cls(bench, sink)

    @property
    def lake(self) -> Lake:
        return self.bench.lake

    def write(self, commits: int) -> None:
        """Let the writer commit so many times."""
        for _ in range(commits):
            offsets = range(self.next, self.next + 10)
            held = self.next - 1 if self.next else None
            flushed = self.sink.write(
                batch(
                    (P0, held, [(poison if o % 10 == 3 else visit)(P0, o) for o in offsets]),
                    (P1, held, [visit(P1, o) for o in offsets]),
                )
            )
            assert flushed.landed == {P0: offsets[-1], P1: offsets[-1]}
            self.next += 10

    def maintain(self, *tables: tuple[Layer, str], **options: object) -> dict[str, Maintained]:
        """One round; nothing may fail in it."""
        done = maintain(
            self.lake,
            replace(self.options, **options),  # type: ignore[arg-type]
            tables or None,
        )
        found = {one.label: one for one in done}
        assert [one.error for one in found.values() if one.error] == []
        return found

    def keep_nothing(self) -> dict[str, Maintained]:
        """A round that deletes whatever the present versions do not need."""
        return self.maintain(retention=NOTHING_KEPT, log_retention=NOTHING_KEPT)

    def table(self, name: str = "visits", layer: Layer = "bronze") -> DeltaTable:
        return self.lake.open(layer, name)

    def audit(self) -> AuditReport:
        return self.bench.audit()

    def assert_exactly_once(self) -> None:
        """Every offset so far is there once, and the audit agrees."""
        wanted = range(self.next)
        dead = [(0, o) for o in wanted if o % 10 == 3]
        assert self.bench.dead_offsets() == dead
        rows = [(0, o) for o in wanted if o % 10 != 3] + [(1, o) for o in wanted]
        assert self.bench.offsets() == rows
        report = self.audit()
        assert report.is_clean, report.findings
        assert report.messages == 2 * self.next

    def log(self, name: str = "visits", layer: Layer = "bronze") -> list[str]:
        return sorted(os.listdir(Path(self.lake.uri(layer, name)) / "_delta_log"))

    def data_files(self, name: str = "visits", layer: Layer = "bronze") -> set[str]:
        root = Path(self.lake.uri(layer, name))
        return {
            str(path.relative_to(root))
            for path in root.rglob("*.parquet")
            if "_delta_log" not in path.parts
        }

    def age_log(self, days: float, name: str = "visits", layer: Layer = "bronze") -> None:
        """Make all that is in a table's log so many days older."""
        then = time.time() - days * 86_400
        for file in self.log(name, layer):
            os.utime(Path(self.lake.uri(layer, name)) / "_delta_log" / file, (then, then))


def at(days: float) -> datetime:
    """A moment so many days from now."""
    return datetime.now(UTC) + timedelta(days=days)


def versions(log: Sequence[str]) -> list[int]:
    """The versions whose commits a log still has."""
    return [int(file[:20]) for file in log if file.endswith(".json") and file[0].isdigit()]
