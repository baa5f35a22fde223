"""``lakeward write`` as a process that is killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.log_lines import Line, LogLines
from benchmarks.chaos.wall_clock import WallClock
from ingest.child_process import dies_with_parent


@dataclass(slots=True)
class Writer:
    """One place in the group, whatever process fills it at the moment."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    clock: WallClock | None = None
    """A wall clock of its own, which may jump."""
    process: subprocess.Popen[bytes] | None = None
    is_taken: bool = False
    """Whether a fault is at work on it that others had better not disturb."""
    is_wanted: bool = True
    """Whether a process that ended is to be replaced."""
    starts: int = 0
    """Processes started so far; also the number of the one at work."""
    ends: dict[int, int] = field(default_factory=dict)
    """Exit code of each process that ended; negative: the signal that ended it."""
    restart_at: float = 0.0
    lines: LogLines = field(init=False)

    def __post_init__(self) -> None:
        self.lines = LogLines(self.log)

    @property
    def log(self) -> Path:
        """The file with the log lines of all its processes."""
        return self.folder / f"{self.name}.log"

    @property
    def is_running(self) -> bool:
        """True while there is a process."""
        return self.process is not None and self.process.poll() is None

    @property
    def holds_partitions(self) -> bool:
        """Whether the process at work last said that it has some and has committed."""
        told = [line for line in self.lines.of(self.starts) if line.event == "progress"]
        return bool(told) and told[-1].fields["partitions"] > 0 and told[-1].fields["commits"] > 0

    @property
    def exits(self) -> Counter[str]:
        """How its processes ended, in words."""
        return Counter(map(how, self.ends.values()))

    def start(self) -> None:
        """Start a process; the thread that calls this must outlive it."""
        # one that hangs is ended by SIGABRT, and leaves in its log where it hung
        environment = {**os.environ, **self.environment, "PYTHONFAULTHANDLER": "1"}
        if self.clock is not None:
            self.clock.shift(0)
            environment |= self.clock.environment
        self.read()
        self.lines.forget_half_a_line()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                dies_with_parent(self.command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.starts += 1

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self.is_running:
            assert self.process is not None
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process at once."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, timeout: float) -> str:
        """Ask the process to finish what it has; return how it ended, in words."""
        if not self.is_running:
            return "was not running"
        assert self.process is not None
        self.signal(signal.SIGTERM)
        try:
            return how(self.process.wait(timeout))
        except subprocess.TimeoutExpired:
            self.kill()
            return f"did not end within {timeout:.0f} s"

    def tend(self, pause: float) -> None:
        """Replace a process that has ended, ``pause`` seconds later."""
        if self.process is None or self.process.poll() is None:
            return
        if self.starts not in self.ends:
            self.ends[self.starts] = self.process.returncode
            self.restart_at = time.monotonic() + pause
        if self.is_wanted and time.monotonic() >= self.restart_at:
            self.start()

    def read(self) -> None:
        """Take in the lines that the process at work has logged."""
        self.lines.read(self.starts)

    def said(self, since: float, *events: str) -> list[Line]:
        """Return its lines of these events (none: of all) that were read after a moment."""
        return [
            line
            for line in self.lines.since(since)
            if line.process == self.starts and (not events or line.event in events)
        ]


def how(code: int) -> str:
    """Return an exit code in words."""
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def write_command(*arguments: str) -> list[str]:
    """Return the command line of a writer of the contract ``visits``."""
    return [
        *(sys.executable, "-m", "lakeward", "write", "--contracts", "visits"),
        *("--log-format", "json", *arguments),
    ]
