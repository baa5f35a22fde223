"""A child process whose CPU time and memory are noted while it runs (Linux: from /proc)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.child_process import dies_with_parent

ROOT = Path(__file__).parents[2]
EVERY_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = ("LAKEWARD_", "KAFKA_", "AWS_")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process and its children had used at one moment."""

    at: float
    """Seconds since the epoch."""
    cpu: float
    """Seconds, user and system."""
    rss: int
    """Resident bytes now."""
    peak: int
    """Resident bytes, the most so far."""


def sample(pid: int) -> Sample | None:
    """Return what a process and its children have used; None when it is gone.

    Of memory, the peaks of all are added up, which is more than was resident at any one moment.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    sizes = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
    if "VmRSS" not in sizes:
        return None  # it has ended, and nobody has asked how
    rss, peak = (int(sizes[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    own = Sample(time.time(), sum(map(int, fields[11:15])) / _TICKS, rss, peak)
    theirs = [found for child in children if (found := sample(int(child))) is not None]
    return Sample(
        own.at,
        own.cpu + sum(one.cpu for one in theirs),
        own.rss + sum(one.rss for one in theirs),
        own.peak + sum(one.peak for one in theirs),
    )


class Watched:
    """One child process. Its standard error goes to ``log``, its standard output is kept."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        also: Sequence[int] = (),
    ) -> None:
        """Start it, in the folder of its log, with none of the settings of who runs this.

        Args:
            command: program and arguments.
            log: file for its standard error.
            environment: more variables.
            also: other processes to note with it, e.g. the broker.
        """
        clean = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
        self.log = log
        self.samples: list[Sample] = []
        self.others: dict[int, list[Sample]] = {pid: [] for pid in also}
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                dies_with_parent(command),
                cwd=log.parent,
                env={**clean, "PYTHONPATH": str(ROOT), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._ended.set()
        self._thread.join()

    def wait(self, timeout: float) -> str:
        """Return what it printed, when it has ended well.

        Raises:
            RuntimeError: it failed; with the end of its log.
        """
        output, _ = self.process.communicate(timeout=timeout)
        self._ended.set()
        self._thread.join()
        if self.process.returncode != 0:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(
                f"{self.process.args!r} ended with {self.process.returncode}:\n{tail}"
            )
        return output.decode()

    @property
    def peak(self) -> int:
        """The most bytes that were resident."""
        return max(found.peak for found in self.samples)

    def cpu_between(self, start: float, end: float, pid: int | None = None) -> float:
        """Return the CPU seconds that were used between two moments."""
        samples = self.samples if pid is None else self.others[pid]
        return _cpu_at(samples, end) - _cpu_at(samples, start)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            for pid, samples in [(self.process.pid, self.samples), *self.others.items()]:
                found = sample(pid)
                if found is not None:
                    samples.append(found)


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python with ``arguments``."""
    return [sys.executable, *arguments]


def _cpu_at(samples: Sequence[Sample], at: float) -> float:
    """Return the CPU time at a moment, between two samples on the line between them."""
    n = bisect_left(samples, at, key=lambda one: one.at)
    if n == 0:
        return samples[0].cpu
    if n == len(samples):
        return samples[-1].cpu
    before, after = samples[n - 1], samples[n]
    share = (at - before.at) / (after.at - before.at)
    return before.cpu + share * (after.cpu - before.cpu)
