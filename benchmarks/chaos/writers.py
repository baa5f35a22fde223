"""``lakeward write`` as a process that is killed, frozen and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.child_process import dies_with_parent

FAKETIME = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
)
"""Where Debian's package libfaketime puts it."""


def faketime() -> Path | None:
    """Return the library that shifts a process's clock; None when it is not installed."""
    return next((path for path in FAKETIME if path.exists()), None)


@dataclass(slots=True)
class Writer:
    """One place in the group, whatever process fills it at the moment."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    folder: Path
    has_clock: bool
    """Whether the process runs under libfaketime, so that its clock may jump."""
    process: subprocess.Popen[bytes] | None = None
    is_frozen: bool = False
    is_wanted: bool = True
    """Whether a process that ended is to be replaced."""
    starts: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    restart_at: float = 0.0
    _told: int = 0
    _rest: bytes = b""

    @property
    def log(self) -> Path:
        """The file with the log lines of all its processes."""
        return self.folder / f"{self.name}.log"

    @property
    def clock(self) -> Path:
        """The file that libfaketime reads the shift from."""
        return self.folder / f"{self.name}.clock"

    @property
    def is_running(self) -> bool:
        """True while there is a process."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start a process; the thread that calls this must outlive it."""
        environment = {**os.environ, **self.environment}
        if self.has_clock:
            if not self.clock.exists():
                self.clock.write_text("+0")
            environment |= {
                "LD_PRELOAD": str(faketime()),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_CACHE_DURATION": "1",
            }
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
        self.is_frozen = False

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

    def stop(self, timeout: float) -> None:
        """Ask the process to finish what it has, and wait for it.

        Raises:
            RuntimeError: it did not end in time, or not in good order.
        """
        if not self.is_running:
            return
        assert self.process is not None
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name} did not end within {timeout:.0f} s") from None
        # a process that had only just been started has no handler for the signal yet
        if code not in (0, -signal.SIGTERM):
            raise RuntimeError(f"{self.name} ended with exit code {code}; see {self.log}")

    def freeze(self) -> None:
        """Stop the process where it stands."""
        self.signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self) -> None:
        """Let a frozen process go on: it knows nothing of what happened meanwhile."""
        self.signal(signal.SIGCONT)
        self.is_frozen = False

    def shift_clock(self, shift: str) -> None:
        """Set the process's clock off by ``shift``, as in ``+3600``."""
        new = self.clock.with_suffix(".new")
        new.write_text(shift)
        new.replace(self.clock)

    def tend(self, pause: float) -> None:
        """Replace a process that has ended, ``pause`` seconds later."""
        if self.process is None or self.process.poll() is None:
            return
        if self.restart_at == 0.0:
            code = self.process.returncode
            self.exits[signal.Signals(-code).name if code < 0 else f"exit {code}"] += 1
            self.restart_at = time.monotonic() + pause
        if self.is_wanted and time.monotonic() >= self.restart_at:
            self.restart_at = 0.0
            self.start()

    def events(self) -> list[str]:
        """Return the names of the log lines written since the last call."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as lines:
            lines.seek(self._told)
            new = lines.read()
        self._told += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        # a killed process may leave half a line
        told = [line for line in whole if line.startswith(b"{") and line.endswith(b"}")]
        return [json.loads(line)["event"] for line in told]


def write_command(*arguments: str) -> list[str]:
    """Return the command line of a writer of the contract ``visits``."""
    return [
        *(sys.executable, "-m", "lakeward", "write", "--contracts", "visits"),
        *("--log-format", "json", *arguments),
    ]
