"""Which files of tests wait: ``pytest -p tests.waiting`` shows them at the end.

A test that waits for a server, a browser or a session that has to end takes time and no CPU. CPU
time is that of the process and of all that it started and saw ending, so a server's counts where it
is stopped.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Generator
from typing import Final

import pytest

SHOWN: Final = 25
NAME: Final = "waiting"


class Waiting:
    """Notes the time and the CPU time of each phase of a test, and adds them up by file."""

    def __init__(self) -> None:
        self._last = _clocks()
        self._files: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def pytest_runtest_logstart(self) -> None:
        """Begin with the test: what a process did before is nobody's time."""
        self._last = _clocks()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give the report what went by since the one before; it may go to another process."""
        report = yield
        now = _clocks()
        report.user_properties.append((NAME, [b - a for a, b in zip(self._last, now, strict=True)]))
        self._last = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase to its file."""
        file = self._files[report.nodeid.partition("::")[0]]
        for name, value in report.user_properties:
            if name == NAME and isinstance(value, list):
                file[0] += value[0]
                file[1] += value[1]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the files that waited longest."""
        total = [sum(clock) for clock in zip(*self._files.values(), strict=True)] or [0.0, 0.0]
        terminalreporter.section(f"time and CPU time: {total[0]:.0f} and {total[1]:.0f} s")
        longest = sorted(self._files.items(), key=lambda one: one[1][1] - one[1][0])
        for name, (seconds, cpu) in longest[:SHOWN]:
            terminalreporter.write_line(f"{seconds:6.0f} s  {cpu:6.0f} s of CPU  {name}")


def _clocks() -> tuple[float, float]:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return time.monotonic(), sum(one.ru_utime + one.ru_stime for one in used)


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the run."""
    config.pluginmanager.register(Waiting(), NAME)
