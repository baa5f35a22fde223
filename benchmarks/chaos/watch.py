"""How long nothing was committed: a thread that looks at the bronze table's version."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from deltalake import DeltaTable

from lake.tables import Lake

LOOK_S = 0.25


@dataclass(slots=True)
class Watch:
    """When commits were seen, on the monotonic clock."""

    lake: Lake
    table: str
    commits: list[float] = field(default_factory=list)
    """One entry a look at which the version had grown."""
    version: int = -1
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self.commits.append(time.monotonic())
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        assert self._thread is not None
        self._thread.join()
        self.commits.append(time.monotonic())

    def longest_gap(self, since: float, until: float) -> float:
        """Return the longest time without a commit that began or ended between two moments."""
        pairs = zip(self.commits, self.commits[1:], strict=False)
        return max((b - a for a, b in pairs if b >= since and a <= until), default=0.0)

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
            except Exception:  # noqa: BLE001 - the store is away, or nothing was made yet
                continue
            if table.version() > self.version:
                self.version = table.version()
                self.commits.append(time.monotonic())
