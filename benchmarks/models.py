"""What models cost: an increment on much history against the same on little, and a full refresh.

Two lakes get events at the same daily rate, one for longer than the other; both are built, and
then get the same new events, a few percent of them up to 20 hours late. One process builds the
increments, so that all but the first are those of a warm process. What an increment takes on the
longer history is held against what it takes on the shorter one. CPU time stands beside each wall
clock, because a busy machine stretches the one and not the other. A last increment is built with
one thread to tell the models apart: those that read more on the longer history grow with it.

A full refresh is measured on a lake of its own, in a new process, and held against the same SQL,
each model as a plain table of one DuckDB file. Dashboards ask each gold table of the longer
history for a tenant's last 30 days. Figures are held against a bar only at the size that the bar
speaks of: ``--events 100000000 --refresh 20000000``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from benchmarks.report import Figure, publish
from benchmarks.rig.dashboards import dashboard_queries
from benchmarks.rig.history import History
from benchmarks.rig.progress import say
from benchmarks.rig.watched import ROOT, python, sample
from ingest.child_process import dies_with_parent
from lake.audit import audit
from lake.tables import Lake

FULL: Final = 100_000_000
FULL_REFRESH: Final = 20_000_000
NEW: Final = 100_000
A_DAY: Final = 1_000_000
BUILT_AT_ONCE: Final = 5_000_000
"""The history is built in steps, as it would have come to be."""
COMMITS: Final = 10
"""In which the new events of an increment arrive."""
MEASURED: Final = 3
NO_TESTS: Final = ("--exclude-resource-type", "test", "unit_test")
BARS: Final = {
    "growth": 1.5,
    "increment": 30.0,
    "refresh": 360.0,
    "plain": 1.3,
    "rss": 6000.0,
    "query": 0.3,
}

Used = Mapping[str, Any]


class Builder:
    """A process that stays and builds the models of one lake."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            dies_with_parent(python("-m", "benchmarks.rig.model_run", str(self._home))),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def build(self, *options: str) -> Used:
        """Build all models and return what that used."""
        return self.ask({"dbt": ["build", *NO_TESTS, *options]})

    def ask(self, question: Mapping[str, Any]) -> Used:
        """Have something done and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the building process failed; what it said stands above"
        used = sample(self._process.pid)
        assert used is not None
        self.peak_mb = max(self.peak_mb, used.peak / 1e6)
        answer: Used = json.loads(line)
        return answer


@dataclass(frozen=True, slots=True)
class Increments:
    """What increments took on one history."""

    wall: float
    cpu: float
    models: Mapping[str, Mapping[str, Any]]
    peak_mb: float
    first_build_mb: float


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-", dir=asked.folder) as scratch:
        if asked.events:
            base = min(A_DAY, asked.events // 10)
            new = min(NEW, base // 10)
            short = _increments(Path(scratch) / "short", base, base, new)
            long = _increments(Path(scratch) / "long", asked.events, base, new)
            figures += _growth(short, long, base, asked.events, new)
            figures += _dashboards(Path(scratch) / "long", asked.events)
        if asked.refresh:
            figures += _refresh(Path(scratch) / "refresh", asked.refresh)
    publish("models", figures)


def _increments(home: Path, events: int, a_day: int, new: int) -> Increments:
    """Make a history, build it, and measure what more events take."""
    lake = Lake(str(home / "lake"))
    history = History(lake, a_day)
    step = max(1, BUILT_AT_ONCE // a_day)
    days = events // a_day
    with Builder(home) as builder:
        for done in range(0, days, step):
            history.write_days(min(step, days - done))
            say(f"{history.total:,} events written")
            built = builder.build()
            say(f"built, {built['wall']:.0f} s, {built['cpu']:.0f} s of CPU time")
        first_build_mb = builder.peak_mb
    report = audit(lake)
    assert report.is_clean, report.findings[:3]
    with Builder(home) as builder:
        measured = []
        for n in range(1 + MEASURED):
            for _ in range(COMMITS):
                history.write(new // COMMITS)
            used = builder.build()
            say(f"increment on {history.total:,}: {used['wall']:.1f} s, {used['cpu']:.1f} s CPU")
            if n:
                measured.append(used)
        for _ in range(COMMITS):
            history.write(new // COMMITS)
        alone = builder.build("--threads", "1")
        modes = {name: told["mode"] for name, told in alone["models"].items()}
        assert "full" not in modes.values(), modes
        return Increments(
            median(used["wall"] for used in measured),
            median(used["cpu"] for used in measured),
            alone["models"],
            builder.peak_mb,
            first_build_mb,
        )


def _growth(short: Increments, long: Increments, base: int, events: int, new: int) -> list[Figure]:
    at_full = events == FULL
    what = f"increment of {new:,} events"
    figures = [
        Figure(f"{what} on {base:,}, warm", short.wall, "s"),
        Figure(f"{what} on {base:,}, CPU time", short.cpu, "s"),
        Figure(
            f"{what} on {events:,}, warm",
            long.wall,
            "s",
            BARS["increment"] if at_full else None,
            higher_is_better=False,
        ),
        Figure(f"{what} on {events:,}, CPU time", long.cpu, "s"),
        Figure(
            f"{what} on {events:,} against {base:,}, wall clock",
            long.wall / short.wall,
            "x",
            BARS["growth"] if at_full else None,
            higher_is_better=False,
        ),
        Figure(f"{what} on {events:,} against {base:,}, CPU time", long.cpu / short.cpu, "x"),
        _memory(f"peak RSS of increments on {events:,}", long.peak_mb, at_full),
        _memory(f"peak RSS of building {events:,} in steps", long.first_build_mb, at_full),
    ]
    told = {name: used for name, used in long.models.items() if "cpu" in used}
    for name in sorted(told, key=lambda one: -told[one]["cpu"]):
        then, now = short.models[name], told[name]
        figures += [
            Figure(f"`{name}` alone on {base:,}, CPU time", then["cpu"], "s"),
            Figure(f"`{name}` alone on {events:,}, CPU time", now["cpu"], "s"),
            Figure(f"`{name}` alone on {base:,}, read", then["read"] / 1e6, "MB"),
            Figure(f"`{name}` alone on {events:,}, read", now["read"] / 1e6, "MB"),
        ]
    return figures


def _memory(name: str, megabytes: float, has_bar: bool) -> Figure:
    bar = BARS["rss"] if has_bar else None
    return Figure(name, megabytes, "MB", bar, higher_is_better=False)


def _dashboards(home: Path, events: int) -> list[Figure]:
    """Ask each gold table what a dashboard would."""
    queries = dashboard_queries(Lake(str(home / "lake")))
    with Builder(home) as builder:
        answer = builder.ask({"queries": queries, "times": 21})
    figures = []
    for name, walls in sorted(answer["walls"].items()):
        slow = float(np.percentile(walls[1:], 95))
        bar = BARS["query"] if events == FULL else None
        figures.append(
            Figure(f"dashboard query of `{name}`, p95", slow, "s", bar, higher_is_better=False)
        )
    return figures


def _refresh(home: Path, events: int) -> list[Figure]:
    """Build everything at once, by dbt and as plain tables."""
    lake = Lake(str(home / "lake"))
    history = History(lake, min(A_DAY, events))
    history.write_days(max(1, events // history.a_day))
    say(f"{history.total:,} events written, full refresh")
    with Builder(home) as builder:
        full = builder.build("--full-refresh")
    say(f"full refresh: {full['wall']:.0f} s, {full['cpu']:.0f} s CPU")
    order = home / "models.json"
    order.write_text(json.dumps(full["compiled"]))
    command = python("-m", "benchmarks.rig.plain_tables", str(home), str(order))
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    plain: Used = json.loads(done.stdout.splitlines()[-1])
    say(f"plain DuckDB tables: {plain['wall']:.0f} s, {plain['cpu']:.0f} s CPU")
    at_full = events == FULL_REFRESH
    return [
        Figure(
            f"full refresh of {events:,} events",
            full["wall"],
            "s",
            BARS["refresh"] if at_full else None,
            higher_is_better=False,
        ),
        Figure(f"full refresh of {events:,} events, CPU time", full["cpu"], "s"),
        _memory(f"peak RSS of a full refresh of {events:,}", builder.peak_mb, at_full),
        Figure("the same SQL as plain DuckDB tables", plain["wall"], "s"),
        Figure("the same SQL as plain DuckDB tables, CPU time", plain["cpu"], "s"),
        Figure(
            "full refresh against plain DuckDB tables, wall clock",
            full["wall"] / plain["wall"],
            "x",
            BARS["plain"] if at_full else None,
            higher_is_better=False,
        ),
        Figure("full refresh against plain, CPU time", full["cpu"] / plain["cpu"], "x"),
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks models")
    parser.add_argument(
        "--events",
        type=int,
        default=5_000_000,
        help="of the longer history; the shorter one has a million, or a tenth [5000000]; 0: none",
    )
    parser.add_argument(
        "--refresh", type=int, default=2_000_000, help="events of the full refresh [2000000]; 0: no"
    )
    parser.add_argument(
        "--folder", help="where the lakes are made [the folder for temporary files]"
    )
    return parser.parse_args(sys.argv[1:])
