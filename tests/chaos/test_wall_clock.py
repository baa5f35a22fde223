"""A process's own clock jumps, and what must not follow it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.wall_clock import NoClockError, WallClock, build

TELL = """
import sys, time
for line in sys.stdin:
    began = time.monotonic()
    time.sleep(0.01)
    print(int(time.time()), time.monotonic() - began < 60, flush=True)
"""
TWO_DAYS_S = 172_800


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    try:
        clock = WallClock(build(tmp_path), tmp_path / "clock")
    except NoClockError as why:
        pytest.skip(f"the test of clocks that jump is left out: {why}")
    clock.shift(0)
    return clock


@pytest.fixture
def process(clock: WallClock) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", TELL],
        env={**os.environ, **clock.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    seconds, slept = process.stdout.readline().split()
    return int(seconds), slept


def test_the_time_of_day_jumps_and_sleep_does_not(
    clock: WallClock, process: subprocess.Popen[str]
) -> None:
    right, _ = told(process)
    for shift in (TWO_DAYS_S, -TWO_DAYS_S, 0):
        clock.shift(shift)
        now, slept = told(process)
        assert abs(now - right - shift) < TWO_DAYS_S // 2
        assert slept == "True"
