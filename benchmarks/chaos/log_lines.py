"""What a writer's processes logged, read while they write."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOISE = {
    "errors told to the user": b"error: ",
    "tracebacks": b"Traceback (most recent call last)",
    "panics in native code that were caught": b" panicked at ",
    "fatal errors": b"Fatal Python error",
}
"""What a process may write beside its log lines, and how it is known."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log."""

    read: float
    """When it was read here, on the monotonic clock."""
    process: int
    """Which process of its writer logged it, from 1."""
    event: str
    fields: dict[str, Any]


@dataclass(slots=True)
class LogLines:
    """The lines of one file."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    noise: Counter[str] = field(default_factory=Counter)
    """Lines that are no JSON, by what they tell of."""
    _told: int = 0
    _rest: bytes = b""

    def read(self, process: int) -> None:
        """Take in what is new; it is of ``process``."""
        if not self.path.exists() or self.path.stat().st_size == self._told:
            return
        with self.path.open("rb") as file:
            file.seek(self._told)
            new = file.read()
        self._told += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        now = time.monotonic()
        for line in whole:
            if line.startswith(b"{") and line.endswith(b"}"):
                fields = json.loads(line)
                self.lines.append(Line(now, process, fields["event"], fields))
            else:
                self.noise.update(name for name, mark in NOISE.items() if mark in line)

    def forget_half_a_line(self) -> None:
        """Let the next process begin a line of its own; a killed one may leave half a line."""
        self._rest = b""

    def since(self, moment: float) -> list[Line]:
        """Return the lines that were read at or after a moment."""
        return self.lines[bisect_left(self.lines, moment, key=lambda line: line.read) :]

    def of(self, process: int) -> list[Line]:
        """Return the lines of one process."""
        return self.lines[bisect_left(self.lines, process, key=lambda line: line.process) :]
