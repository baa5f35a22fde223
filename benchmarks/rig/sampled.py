"""Where a process spends its CPU time: by thread from /proc, within Python's threads by py-spy."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.rig.fetched import fetched, venv

PY_SPY: Final = "0.4.3"
RATE: Final = 29
"""Samples a second: each one stops the process for a moment."""

_TICKS = os.sysconf("SC_CLK_TCK")
_LINE = re.compile(r"thread \((\d+)\)(?:: ([^;]*))?;(.*) (\d+)$")


@dataclass(frozen=True, slots=True)
class Stack:
    """A sampled stack of one of Python's threads."""

    thread: int
    """The kernel's id."""
    name: str
    frames: str
    """Outermost first, Python's and native ones."""
    samples: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was seen."""

    stacks: Sequence[Stack]
    cpu: Mapping[int, float]
    """Seconds by the kernel's thread id."""
    names: Mapping[int, str]
    """What the kernel calls the threads."""

    def by_stage(
        self, stages: Sequence[tuple[str, str, str]], rest: Mapping[str, str]
    ) -> dict[str, float]:
        """Return CPU seconds by stage.

        Args:
            stages: ``(thread, frame, stage)``: the first whose thread name begins like this and
                whose stack has this text in it.
            rest: the stage of a thread that runs no Python, by the beginning of its name.
        """
        found: dict[str, float] = defaultdict(float)
        sampled = Counter[int]()
        for stack in self.stacks:
            sampled[stack.thread] += stack.samples
        for stack in self.stacks:
            stage = next(
                stage
                for thread, frame, stage in stages
                if stack.name.startswith(thread) and frame in stack.frames
            )
            share = stack.samples / sampled[stack.thread]
            found[stage] += share * self.cpu.get(stack.thread, 0.0)
        for thread, seconds in self.cpu.items():
            if thread not in sampled:
                name = self.names[thread]
                stage = next(stage for begin, stage in rest.items() if name.startswith(begin))
                found[stage] += seconds
        return found


def sampled(pid: int, seconds: int, folder: Path) -> Sampled:
    """Watch a process for a while.

    Raises:
        RuntimeError: py-spy may not look into the process, or it ended.
    """
    home = fetched(f"py-spy-{PY_SPY}", lambda place: venv(place / "venv", f"py-spy=={PY_SPY}"))
    stacks = folder / "stacks.txt"
    before, _ = _threads(pid)
    done = subprocess.run(
        [
            str(home / "venv" / "bin" / "py-spy"),
            "record",
            "--native",
            "--threads",
            "--format=raw",
            f"--rate={RATE}",
            f"--duration={seconds}",
            f"--output={stacks}",
            f"--pid={pid}",
        ],
        capture_output=True,
        text=True,
        timeout=10 * seconds + 60,
        check=False,
    )
    after, names = _threads(pid)
    if done.returncode != 0 or not after:
        raise RuntimeError(
            f"py-spy saw nothing: {done.stderr.strip()[-500:]} (it needs the right to trace: root, "
            "or kernel.yama.ptrace_scope=0; and the run must last longer: --messages)"
        )
    found = [_LINE.match(line) for line in stacks.read_text().splitlines()]
    return Sampled(
        [Stack(int(m[1]), m[2] or "", m[3], int(m[4])) for m in found if m is not None],
        {thread: cpu - before.get(thread, 0.0) for thread, cpu in after.items()},
        names,
    )


def _threads(pid: int) -> tuple[dict[int, float], dict[int, str]]:
    cpu: dict[int, float] = {}
    names: dict[int, str] = {}
    for place in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            head, _, tail = place.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended
        fields = tail.split()
        thread = int(place.parent.name)
        names[thread] = head.partition("(")[2]
        cpu[thread] = (int(fields[11]) + int(fields[12])) / _TICKS
    return cpu, names
