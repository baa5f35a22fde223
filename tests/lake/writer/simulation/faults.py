"""What can go wrong while a Delta commit is on its way, injected where it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import deltalake
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from tests.lake.writer.simulation.handles import LentTable

FaultKind = Literal[
    "crash_before",
    "crash_after",
    "landed_answer_lost",
    "not_landed",
    "refused",
    "late",
    "late_second_try",
    "late_crash",
    "unreadable",
    "store_away",
    "beside",
    "compacted_beside",
    "maintained_beside",
]
FAULTS: tuple[FaultKind, ...] = (
    "crash_before",
    "crash_after",
    "landed_answer_lost",
    "not_landed",
    "refused",
    "late",
    "late_second_try",
    "late_crash",
    "unreadable",
    "store_away",
    "beside",
    "compacted_beside",
    "maintained_beside",
)


class Crash(BaseException):
    """The process is gone: nothing in it catches this."""


class Faults:
    """Stands between the writer and ``write_deltalake``.

    One fault may be armed. It strikes the write that comes ``skip`` writes later, so that a commit
    to the dead letters, the one to bronze and a claim each get their share.

    - ``crash_before``, ``crash_after``: the process dies around the commit.
    - ``landed_answer_lost``, ``not_landed``, ``refused``: an error, whatever became of the commit.
    - ``late``: the log entry is on its way when the error comes, and arrives some time later, or
      finds its place taken (``late_second_try``: just before the next try; ``late_crash``: the
      process dies meanwhile).
    - ``unreadable``: the answer is lost, and the table cannot be opened at the first look.
    - ``store_away``: every write fails until the writer gives up.
    - ``beside``: other writers act between this one's check and its commit.
    - ``compacted_beside``, ``maintained_beside``: the table is compacted between check and commit,
      by delta-rs or by lakeward's own maintenance.
    """

    def __init__(self) -> None:
        self.kind: FaultKind | None = None
        self.skip = 0
        self.beside: Callable[[], None] = lambda: None
        self.maintain: Callable[[], None] = lambda: None
        self.in_flight: list[tuple[Path, Path]] = []
        """Log entries on their way: where they are kept, where they will arrive."""
        self.struck: set[str] = set()
        """Which kinds have come to pass."""
        self._deliver_at_next_write = False
        self._unreadable = 0

    def arm(self, kind: FaultKind | None, skip: int, beside: Callable[[], None]) -> None:
        """Prepare a fault for the writes of one step."""
        self.kind, self.skip, self.beside = kind, skip, beside

    def disarm(self) -> None:
        """No fault any more; the store is there again."""
        self.kind = None
        self._unreadable = 0

    def before_opening(self) -> None:
        """Called when a writer opens a table anew."""
        if self._unreadable:
            self._unreadable -= 1
            raise OSError("the store does not answer")

    def write(self, table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        """Commit, or what the armed fault makes of it."""
        if self._deliver_at_next_write:
            self._deliver_at_next_write = False
            self.deliver()
        kind = self.kind
        if kind is not None and self.skip > 0:
            self.skip -= 1
            kind = None
        if kind is None:
            deltalake.write_deltalake(table, *args, **kwargs)
            return
        if kind != "store_away":
            self.kind = None
        self.struck.add(kind)
        if kind in ("beside", "compacted_beside", "maintained_beside"):
            if kind == "beside":
                self.beside()
            elif kind == "maintained_beside":
                self.maintain()
            else:
                DeltaTable(table.table_uri).optimize.compact()
            deltalake.write_deltalake(table, *args, **kwargs)
            return
        if kind == "crash_before":
            raise Crash
        if kind == "refused":
            raise CommitFailedError("the store says that the version exists")
        if kind in ("not_landed", "store_away"):
            raise OSError("the store does not answer")
        deltalake.write_deltalake(table, *args, **kwargs)
        if kind == "crash_after":
            raise Crash
        if kind.startswith("late"):
            self._hold_up(table)
            self._deliver_at_next_write = kind == "late_second_try"
            if kind == "late_crash":
                raise Crash
        if kind == "unreadable":
            self._unreadable = 1
        raise OSError("the answer was lost")

    def deliver(self) -> None:
        """Let what is on its way arrive; where its version exists meanwhile, it is refused."""
        for kept, entry in self.in_flight:
            if entry.exists():
                kept.unlink()
            else:
                os.rename(kept, entry)
        self.in_flight.clear()

    def _hold_up(self, table: DeltaTable) -> None:
        root = Path(table.table_uri.removeprefix("file://"))
        entry = root / "_delta_log" / f"{table.version():020}.json"
        kept = root.parents[2] / f"in-flight-{root.name}-{table.version()}-{len(self.in_flight)}"
        os.rename(entry, kept)
        self.in_flight.append((kept, entry))
        if isinstance(table, LentTable):
            table.spoil()
