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

Both lakes get their events from one history that is made ahead. With ``--keep`` that history and
the lakes stay in ``--folder``, and the parts can be run one at a time (``--parts``), each going on
from what it finds: a history half written, a lake half built.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import numpy as np

from benchmarks.report import Figure, publish
from benchmarks.rig.ahead import bring, days_in
from benchmarks.rig.builder import Builder, Used
from benchmarks.rig.dashboards import dashboard_queries
from benchmarks.rig.history import History
from benchmarks.rig.progress import say
from benchmarks.rig.watched import ROOT, python
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
BARS: Final = {
    "growth": 1.5,
    "increment": 30.0,
    "refresh": 360.0,
    "plain": 1.3,
    "rss": 6000.0,
    "query": 0.3,
}
PARTS: Final = ("history", "increments", "dashboards", "refresh")


@dataclass(frozen=True, slots=True)
class Increments:
    """What increments took on one history."""

    wall: float
    cpu: float
    models: Mapping[str, Mapping[str, Any]]
    peak_mb: float
    first_build_mb: float
    """0 when the models were there already."""


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    figures: list[Figure] = []
    with _folder(asked) as folder:
        sizes = Sizes.of(asked.events)
        ahead = Lake(str(folder / "ahead" / "lake"))
        if "history" in asked.parts:
            _write_ahead(ahead, sizes, max(asked.events, asked.refresh))
        elif days_in(ahead) < sizes.days:
            sys.exit(f"{ahead.root} has {days_in(ahead)} of {sizes.days} days: run --parts history")
        if "increments" in asked.parts and asked.events:
            shutil.rmtree(folder / "short", ignore_errors=True)
            short = _increments(folder / "short", ahead, sizes, 1)
            long = _increments(folder / "long", ahead, sizes, sizes.days)
            figures += _growth(short, long, sizes)
        if "dashboards" in asked.parts and asked.events:
            figures += _dashboards(folder / "long", asked.events)
        if "refresh" in asked.parts and asked.refresh:
            shutil.rmtree(folder / "refresh", ignore_errors=True)
            figures += _refresh(folder / "refresh", ahead, sizes.a_day, asked.refresh)
    if figures:
        publish("models", figures)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many events the histories have, and the increments on them."""

    events: int
    a_day: int
    new: int

    @classmethod
    def of(cls, events: int) -> Self:
        """Return what goes with a longer history of ``events``; the shorter one is a day."""
        a_day = min(A_DAY, events // 10) if events else A_DAY
        return cls(events, a_day, min(NEW, a_day // 10))

    @property
    def days(self) -> int:
        """How long the longer history is."""
        return self.events // self.a_day


@contextmanager
def _folder(asked: argparse.Namespace) -> Iterator[Path]:
    """Give the folder of the lakes: kept, or removed at the end."""
    if asked.keep:
        folder = Path(asked.folder)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        say(f"the lakes are kept: {', '.join(str(one) for one in sorted(folder.glob('*/lake')))}")
        return
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-", dir=asked.folder) as scratch:
        yield Path(scratch)


def _write_ahead(ahead: Lake, sizes: Sizes, events: int) -> None:
    """Write bronze up to so many events, or what is missing of them."""
    history = History(ahead, sizes.a_day)
    for day in range(days_in(ahead), max(1, events // sizes.a_day)):
        history.write_days(1)
        say(f"{history.total:,} events written, {day + 1} days")


def _grow(home: Path, ahead: Lake, sizes: Sizes, days: int) -> float:
    """Build the models over the first ``days`` days, in steps; return the most MB resident.

    What was built before is taken as it is.
    """
    lake = Lake(str(home / "lake"))
    step = max(1, BUILT_AT_ONCE // sizes.a_day)
    done = days_in(lake)
    built: Used = {}
    if done >= days:
        say(f"{home.name}: is there already, with {done - days} slices of increments")
    with Builder(home) as builder:
        if done:
            builder.build()  # the last one may have been interrupted
        while done < days:
            done = min(days, done + step)
            bring(ahead, lake, done)
            built = builder.build()
            say(
                f"{home.name}: {done} of {days} days built, {built['wall']:.0f} s, "
                f"{built['cpu']:.0f} s of CPU time, {builder.peak_mb:,.0f} MB at most"
            )
    return builder.peak_mb if built else 0.0


def _increments(home: Path, ahead: Lake, sizes: Sizes, days: int) -> Increments:
    """Build a history's models, and measure what more events take."""
    first_build_mb = _grow(home, ahead, sizes, days)
    history = History(Lake(str(home / "lake")), sizes.a_day)
    with Builder(home) as builder:
        report = audit(history.lake)
        assert report.is_clean, report.findings[:3]
        measured = []
        for n in range(1 + MEASURED):
            used = _increment(builder, history, sizes.new)
            if n:
                measured.append(used)
        alone = _increment(builder, history, sizes.new, "--threads", "1")
        modes = {name: told["mode"] for name, told in alone["models"].items()}
        assert "full" not in modes.values(), modes
        return Increments(
            median(used["wall"] for used in measured),
            median(used["cpu"] for used in measured),
            alone["models"],
            builder.peak_mb,
            first_build_mb,
        )


def _increment(builder: Builder, history: History, new: int, *options: str) -> Used:
    before = history.total
    for _ in range(COMMITS):
        history.write(new // COMMITS)
    used = builder.build(*options)
    say(
        f"increment on {before:,}: {used['wall']:.1f} s, {used['cpu']:.1f} s of CPU time, "
        f"{builder.peak_mb:,.0f} MB at most"
    )
    return used


def _growth(short: Increments, long: Increments, sizes: Sizes) -> list[Figure]:
    base, events = sizes.a_day, sizes.events
    at_full = events == FULL
    what = f"increment of {sizes.new:,} events"
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
    ]
    if long.first_build_mb:
        what = f"peak RSS of building {events:,} in steps"
        figures.append(_memory(what, long.first_build_mb, at_full))
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


def _refresh(home: Path, ahead: Lake, a_day: int, events: int) -> list[Figure]:
    """Build everything at once, by dbt and as plain tables."""
    bring(ahead, Lake(str(home / "lake")), max(1, events // a_day))
    say(f"full refresh of {events:,} events")
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
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave the lakes in the folder: FOLDER/long/lake and so on; a run with the same sizes "
        "goes on from them",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="only these; history: make the events; increments: build both lakes and measure; "
        "dashboards: ask the longer one; refresh: build at once. Those that a part needs must "
        "have been run with --keep before",
    )
    asked = parser.parse_args(sys.argv[1:])
    if asked.keep and not asked.folder:
        parser.error("--keep needs a --folder")
    if not asked.keep and asked.parts != PARTS:
        parser.error("--parts needs --keep: a part goes on from what another one left")
    return asked
