"""How far the lake has come: a thread that looks at the commits of the bronze table."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass, field

from deltalake import DeltaTable

from lake.tables import Lake
from lake.writer.commit import METADATA_KEY

LOOK_S = 0.25

Positions = dict[int, int]
"""The last offset that is in the table, by partition."""


@dataclass(slots=True)
class Watch:
    """Where each partition stood, and when."""

    lake: Lake
    table: str
    partitions: int
    seen: list[tuple[float, Positions]] = field(default_factory=list)
    """One entry a look that found something new, on the monotonic clock."""
    version: int = -1
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def at(self, moment: float) -> Positions:
        """Return where each partition stood, as was known at a moment."""
        index = bisect_right(self.seen, moment, key=lambda entry: entry[0])
        return self.seen[index - 1][1] if index else {}

    def now(self) -> Positions:
        """Return where each partition stands, as was last seen."""
        return self.seen[-1][1] if self.seen else {}

    def has_moved_on(self, before: Positions) -> bool:
        """Whether every partition has come further than ``before``."""
        return self._is_past(self.now(), before)

    def seconds_until_moved_on(self, moment: float) -> float | None:
        """Return how long after a moment every partition had moved; None: not all did."""
        before = self.at(moment)
        index = bisect_right(self.seen, moment, key=lambda entry: entry[0])
        later = (at for at, now in self.seen[index:] if self._is_past(now, before))
        found = next(later, None)
        return None if found is None else found - moment

    def _is_past(self, now: Positions, before: Positions) -> bool:
        return all(now.get(n, -1) > before.get(n, -1) for n in range(self.partitions))

    def _run(self) -> None:
        options = self.lake.storage_options
        if options is not None:
            options |= {"timeout": "2s", "max_retries": "0"}
        table: DeltaTable | None = None
        while not self._ended.wait(LOOK_S):
            try:
                if table is None:
                    table = DeltaTable(self.lake.uri("bronze", self.table), storage_options=options)
                table.update_incremental()
                new = table.version() - self.version
                commits = table.history(new) if new > 0 else []
            except Exception:  # noqa: BLE001 - the store is away, or nothing was made yet
                continue
            if commits:
                self.version = table.version()
                positions = dict(self.now())
                for commit in commits:
                    for part in json.loads(commit.get(METADATA_KEY, "{}")).get("partitions", ()):
                        number = part["partition"]
                        positions[number] = max(part["last"], positions.get(number, -1))
                self.seen.append((time.monotonic(), positions))
