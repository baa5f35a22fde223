"""How fast Superset answers the charts of its dashboards, alone and beside builds.

``--lake`` names a lake that was built; it stays as it is, since everything happens in a copy of
hard links beside it. ``lakeward superset up`` runs as its user runs it. Each chart is asked by
Superset's API what its plugin asks, with ``force`` and without any cache, one after the other in
some rounds, the first of which is told apart. Ranges of time end with the newest event of the lake,
not today, so that an old lake has something to show. Then the same while events come in and builds
run one after the other, each followed by a new catalog, as Dagster does it.

A time is what a browser waits: from the request to the last byte. Beside it stands what DuckDB
alone takes for the very SQL that Superset sent, in a warm session on the lake. Every chart's times
go to ``out/charts.csv``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from benchmarks import report
from benchmarks.report import Figure
from benchmarks.rig.builder import Builder
from benchmarks.rig.chart_queries import ChartAnswer, ChartQuery, ask, chart_queries, open_dashboard
from benchmarks.rig.history import History
from benchmarks.rig.linked_lake import linked_lake
from benchmarks.rig.progress import say
from lake.read import LakeReader
from lake.tables import Lake
from serving.catalog import build_catalog, catalog_path
from serving.superset.api import SupersetApi
from tests.serving.superset.live import RunningSuperset

BAR_S: Final = 1.0
SLOWEST: Final = 5
COMMITS: Final = 10
"""In which the new events before each build arrive."""

Answers = Mapping[ChartQuery, Sequence[ChartAnswer]]


@dataclass
class Builds:
    """Events that come in, and builds of them, one after the other until told to end."""

    home: Path
    history: History
    events: int
    walls: list[float] = field(default_factory=list)
    failure: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write, build, make the catalog anew."""
        try:
            with Builder(self.home) as builder:
                while not self.ended.is_set():
                    for _ in range(COMMITS):
                        self.history.write(self.events // COMMITS)
                    self.walls.append(builder.build()["wall"])
                    build_catalog(self.history.lake, catalog_path(self.home))
                    say(f"built {self.events:,} more events in {self.walls[-1]:.0f} s")
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            self.failure = error


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with linked_lake(asked.lake) as home:
        lake = Lake(str(home / "lake"))
        history = History.after(lake, asked.a_day)
        say(f"a copy of links at {home}, newest event {history.now:%Y-%m-%d %H:%M}")
        superset = RunningSuperset.start(home)
        try:

            def login() -> SupersetApi:
                return SupersetApi.login(superset.url, "admin", superset.password)

            charts = list(chart_queries(login()))
            say(f"{superset.url}: {len(charts)} charts")
            cold = _round(login(), charts, history.now)
            say("asked once")
            alone = _rounds(login, charts, lambda: history.now, asked.rounds)
            opened = _opened(login, charts, history.now, asked.rounds)
            say("opened as a browser does")
            bare = _bare(lake, alone, asked.rounds)
            say("asked DuckDB alone")
            builds = Builds(home, history, asked.events)
            beside: Answers = {}
            if asked.events:
                beside = _beside(login, charts, builds, asked.rounds)
        finally:
            superset.stop()
    _write_each({"alone": alone, "beside builds": beside})
    figures = _figures("alone", alone) + _figures("beside builds", beside)
    figures += [
        Figure("the first time each, p95", _share(_flat(cold), 95), "s"),
        *(
            Figure(f"dashboard `{name}` opened, six charts at once, median", seconds, "s")
            for name, seconds in opened.items()
        ),
        Figure("the same SQL in DuckDB alone, p50", _share(bare, 50), "s"),
        Figure("the same SQL in DuckDB alone, p95", _share(bare, 95), "s"),
        Figure("charts", len(charts), "charts"),
        Figure("charts without a row", sum(not one[0].rows for one in alone.values()), "charts"),
        Figure("builds meanwhile", len(builds.walls), "builds"),
        Figure("the longest of them", max(builds.walls, default=0.0), "s"),
    ]
    report.publish("charts", figures)


def _round(api: SupersetApi, charts: Sequence[ChartQuery], now: datetime) -> dict[Any, Any]:
    return {chart: [ask(api, chart, now)] for chart in charts}


def _rounds(
    login: Callable[[], SupersetApi],
    charts: Sequence[ChartQuery],
    now: Callable[[], datetime],
    rounds: int,
    until: Callable[[], bool] = lambda: True,
) -> Answers:
    """Ask every chart so many times, and on until ``until`` says that it is enough."""
    found: dict[ChartQuery, list[ChartAnswer]] = defaultdict(list)
    done = 0
    while done < rounds or not until():
        api = login()  # a session is good for a quarter of an hour
        for chart in charts:
            found[chart].append(ask(api, chart, now()))
        done += 1
        slow = _share([answers[-1].seconds for answers in found.values()], 95)
        say(f"round {done}: p95 {slow:.2f} s")
    return found


def _beside(
    login: Callable[[], SupersetApi], charts: Sequence[ChartQuery], builds: Builds, rounds: int
) -> Answers:
    """Ask while builds run; at least until one has ended."""
    thread = threading.Thread(target=builds.run)
    thread.start()
    try:
        found = _rounds(
            login,
            charts,
            lambda: builds.history.now,
            rounds,
            until=lambda: bool(builds.walls) or builds.failure is not None,
        )
    finally:
        builds.ended.set()
        thread.join()
    if builds.failure is not None:
        raise builds.failure
    return found


def _opened(
    login: Callable[[], SupersetApi], charts: Sequence[ChartQuery], now: datetime, rounds: int
) -> dict[str, float]:
    """Return how long it takes until the last chart of each dashboard is there."""
    found = {}
    for name in dict.fromkeys(chart.dashboard for chart in charts):
        its = [chart for chart in charts if chart.dashboard == name]
        found[name] = float(np.median([open_dashboard(login, its, now) for _ in range(rounds)]))
    return found


def _bare(lake: Lake, answers: Answers, rounds: int) -> list[float]:
    """Ask a session on the lake the SQL that Superset sent."""
    walls = []
    with LakeReader(lake) as reader:
        for found in answers.values():
            queries = [one.query for one in duckdb.extract_statements(found[-1].sql)]
            for query in queries:
                reader.table(query)
            for _ in range(rounds):
                began = time.perf_counter()
                for query in queries:
                    reader.table(query)
                walls.append(time.perf_counter() - began)
    return walls


def _figures(phase: str, answers: Answers) -> list[Figure]:
    if not answers:
        return []
    flat = _flat(answers)
    figures = [
        Figure(f"a chart's query, {phase}, p50", _share(flat, 50), "s"),
        Figure(
            f"a chart's query, {phase}, p95", _share(flat, 95), "s", BAR_S, higher_is_better=False
        ),
    ]
    for name in dict.fromkeys(chart.dashboard for chart in answers):
        its = _flat({chart: found for chart, found in answers.items() if chart.dashboard == name})
        figures += [
            Figure(f"dashboard `{name}`, {phase}, p50", _share(its, 50), "s"),
            Figure(f"dashboard `{name}`, {phase}, p95", _share(its, 95), "s"),
        ]
    by_p95 = sorted(answers, key=lambda chart: -_share(_flat({chart: answers[chart]}), 95))
    return figures + [
        Figure(f"chart `{one.title}`, {phase}, p95", _share(_flat({one: answers[one]}), 95), "s")
        for one in by_p95[:SLOWEST]
    ]


def _write_each(phases: Mapping[str, Answers]) -> None:
    report.OUT.mkdir(exist_ok=True)
    with (report.OUT / "charts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "dashboard", "chart", "times", "rows", "p50_s", "p95_s"])
        for phase, answers in phases.items():
            for chart, found in answers.items():
                seconds = [one.seconds for one in found]
                shares = [f"{_share(seconds, share):.3f}" for share in (50, 95)]
                told = [phase, chart.dashboard, chart.title, len(found), found[-1].rows]
                writer.writerow([*told, *shares])


def _flat(answers: Answers) -> list[float]:
    return [one.seconds for found in answers.values() for one in found]


def _share(values: Sequence[float], share: int) -> float:
    return float(np.percentile(values, share))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks charts")
    parser.add_argument(
        "--lake", type=Path, required=True, help="the folder of a lake that was built, or its home"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is asked [5]")
    parser.add_argument(
        "--events",
        type=int,
        default=100_000,
        help="new events before each build beside which they are asked [100000]; 0: no builds",
    )
    parser.add_argument(
        "--a-day", type=int, default=1_000_000, help="how many events a day they are [1000000]"
    )
    return parser.parse_args(sys.argv[1:])
