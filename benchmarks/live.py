"""How fast the live views answer, and how soon an event is in them, while builds run.

A feeder commits clickstream rows to bronze once a second, 10,000 at a time, as the writer leaves
them; builds run in processes of their own, at most one a minute; a dashboard asks
``live.metrics_1m`` for one tenant's day, then for the total of all tenants, and so on without a
pause. It asks the sessions of ``lakeward dashboard``, which open a new one beside the old one when
there is a build and the old one holds a million rows. The time to visible runs from a commit's
return until the end of the first query of the total of all tenants that counts its rows. Each total
that is seen is held against what was committed before the query and after it: no figure unless none
was lost and none counted twice.

When feeder and builds have ended, the tail is filled up to a minute of events and each query is
asked again with nothing beside it, for its CPU time, of all threads: by the views alone, as a BI
tool asks the catalog, and in a session that holds the tail, after each commit of a second's events.

Needs Linux, two cores, 3 GB of memory and 1 GB below the temporary folder; no server, no internet.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.report import Figure, publish
from benchmarks.rig.progress import say
from benchmarks.rig.watched import python
from ingest.contracts.registry import load_contracts
from lake.dbt_run import run_dbt
from lake.read import LakeReader
from lake.schema import PARTITION_BY, bronze_schema
from lake.tables import Lake
from serving.dashboard.sessions import Sessions
from serving.dashboard.versions import Versions

TENANTS = 5
TOTAL = "select sum(event_count)::bigint from live.metrics_1m"
DASHBOARD = """
    select window_start, sum(event_count) as events, sum(page_view_count) as page_views
    from live.metrics_1m
    where tenant_id = 'tenant-1' and metric_date >= date '{day}'
    group by all order by 1 desc limit 30
"""
BARS = {"answer": 0.8, "visible": 2.0}
ALONE = {
    "live.metrics_1m, one tenant of five": DASHBOARD,
    "live.metrics_1m, all tenants": TOTAL,
    "live.campaign_1m, without advertisements": "select sum(click_count) from live.campaign_1m",
    "live.active_sessions": "select tenant_id, count(*) from live.active_sessions group by all",
}
TAIL_S = 60
"""Seconds of events that are new when a query is asked alone: a build a minute leaves no more."""
TIMES = 3


@dataclass
class Feeder:
    """Commits rows to bronze, second by second, until it is told to end."""

    lake: Lake
    rate: int
    committed: list[tuple[int, float]] = field(default_factory=list)
    """Rows committed so far, and when the commit had returned."""
    ended: threading.Event = field(default_factory=threading.Event)
    _offset: int = 0

    @property
    def total(self) -> int:
        """Rows whose commit has returned."""
        return self.committed[-1][0] if self.committed else 0

    def run(self) -> None:
        """Commit once a second; a commit that took longer is followed by the next at once."""
        while not self.ended.is_set():
            began = time.monotonic()
            self.commit(self.rate)
            self.ended.wait(max(0.0, began + 1 - time.monotonic()))

    def commit(self, count: int) -> None:
        """Commit ``count`` different events of the last two seconds, one in fifty an hour late."""
        now = datetime.now(UTC)
        draw = np.random.default_rng(self._offset)
        ids = np.arange(self._offset, self._offset + count)
        age_s = draw.random(count) * 2 + np.where(draw.random(count) < 0.02, 3600, 0)
        schema = bronze_schema(load_contracts(None).by_name("clickstream"))
        columns: dict[str, object] = {
            "tenant_id": [f"tenant-{n}" for n in draw.integers(TENANTS, size=count)],
            "event_id": [f"e-{n:024x}" for n in ids],
            "session_id": [f"s-{n}" for n in (ids // 8) + draw.integers(500, size=count)],
            "user_id": [f"u-{n}" for n in draw.integers(100_000, size=count)],
            "occurred_at": [now - timedelta(seconds=s) for s in age_s],
            "event_type": list(draw.choice(["page_view", "click", "scroll"], count)),
            "page_url": ["https://nova-site.example/presale"] * count,
            "referrer": list(draw.choice(["https://www.google.com/", ""], count)),
            "page_load_time": draw.random(count) * 4,
            "site_id": [f"ico-{n:03d}" for n in draw.integers(1, 21, size=count)],
            "_topic": ["clickstream-events"] * count,
            "_topic_id": ["bench"] * count,
            "_partition": pa.repeat(pa.scalar(0, pa.int32()), count),
            "_offset": ids,
            "_appended_at": [now] * count,
            "_committed_at": [now] * count,
            "_contract_version": ["1.0.0"] * count,
            "_ingest_date": [now.date()] * count,
        }
        arrays = [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)
            for f in schema
        ]
        write_deltalake(
            self.lake.uri("bronze", "clickstream"),
            pa.table(arrays, schema=schema),
            mode="append",
            partition_by=list(PARTITION_BY),
        )
        self._offset += count
        self.committed.append((self._offset, time.monotonic()))


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        home = Path(scratch)
        lake = Lake(str(home / "lake"))
        feeder = Feeder(lake, asked.rate)
        for _ in range(asked.before):
            feeder.commit(asked.rate)
        say(f"{feeder.total:,} events, first build")
        assert run_dbt(["build", *NO_TESTS], home=home, lake_root=lake.root).succeeded
        with ThreadPoolExecutor() as pool:
            feeding = pool.submit(feeder.run)
            building = pool.submit(_build, home, lake, feeder.ended)
            try:
                answers, seen = _ask(lake, feeder, asked.seconds)
            finally:
                feeder.ended.set()
            feeding.result()
            builds = building.result()
        say(f"{len(answers):,} queries, {len(builds)} builds; each query alone")
        visible = _visible(feeder, seen)
        new, alone, held = _ask_alone(lake, feeder)
    publish(
        "live",
        [
            Figure("a dashboard's query on live.metrics_1m, p50", _share(answers, 50), "s"),
            Figure(
                "a dashboard's query on live.metrics_1m, p95",
                _share(answers, 95),
                "s",
                BARS["answer"] if asked.rate == 10_000 else None,
                higher_is_better=False,
            ),
            Figure("commit to visible, p50", _share(visible, 50), "s"),
            Figure(
                "commit to visible, p95",
                _share(visible, 95),
                "s",
                BARS["visible"] if asked.rate == 10_000 else None,
                higher_is_better=False,
            ),
            *(Figure(f"CPU time of a query, {name}", took, "s") for name, took in alone.items()),
            *(Figure(f"the same, tail held, {name}", took, "s") for name, took in held.items()),
            Figure("new events of these queries", new, "events"),
            Figure("events a second", asked.rate, "events/s"),
            Figure("events in the end", feeder.total, "events"),
            Figure("queries", len(answers), "queries"),
            Figure("builds meanwhile", len(builds), "builds"),
            Figure("the longest build", max(builds, default=0.0), "s"),
        ],
    )


NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


def _build(home: Path, lake: Lake, ended: threading.Event) -> list[float]:
    """Build once a minute, without a pause where that is not enough; return how long each took."""
    took: list[float] = []
    code = (
        "import sys; from pathlib import Path; from lake.dbt_run import run_dbt; "
        "from lake.priority import give_way; from lake.settings import LakeSettings; "
        "give_way(LakeSettings().build_niceness); "
        "ok = run_dbt(sys.argv[3:], home=Path(sys.argv[1]), lake_root=sys.argv[2]).succeeded; "
        "sys.exit(0 if ok else 1)"
    )
    while not ended.is_set():
        began = time.monotonic()
        subprocess.run([*python("-c", code), str(home), lake.root, "build", *NO_TESTS], check=True)
        took.append(time.monotonic() - began)
        ended.wait(max(0.0, began + 60 - time.monotonic()))
    return took


def _ask(lake: Lake, feeder: Feeder, seconds: float) -> tuple[list[float], list[tuple[int, float]]]:
    """Return how long each dashboard query took, and each total with when it was known."""
    answers: list[float] = []
    seen: list[tuple[int, float]] = []
    dashboard = DASHBOARD.format(day=datetime.now(UTC).date())
    sessions = Sessions(lake, Versions(lake), lambda: LakeReader(lake, holds_tail=True))
    with sessions.lease(()) as reader:
        reader.table(TOTAL)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        with sessions.lease(()) as reader:
            reader.table(dashboard)
        answers.append(time.monotonic() - began)
        before = feeder.total
        with sessions.lease(()) as reader:
            total = int(reader.table(TOTAL)[0][0].as_py())
        now = time.monotonic()
        assert before <= total <= feeder.total + feeder.rate, (before, total, feeder.total)
        seen.append((total, now))
    sessions.close()
    return answers, seen


OPENED = "opening a session, with its first query"


def _ask_alone(lake: Lake, feeder: Feeder) -> tuple[int, dict[str, float], dict[str, float]]:
    """Return how many events were new, and the median CPU seconds of each query on them.

    First by the views alone, then with the tail held: there each follows a commit, so a second's
    events are taken in too.
    """
    day = datetime.now(UTC).date()
    queries = {name: sql.format(day=day) for name, sql in ALONE.items()}
    with LakeReader(lake) as reader:
        tail = "select count(*) from live.tail_clickstream"
        while (new := int(reader.table(tail)[0][0].as_py())) < TAIL_S * feeder.rate:
            feeder.commit(feeder.rate)
        alone = {
            name: _share([_cpu_s(reader, sql) for _ in range(TIMES)], 50)
            for name, sql in queries.items()
        }
    held = {}
    with LakeReader(lake, holds_tail=True) as reader:
        held[OPENED] = _cpu_s(reader, TOTAL)
        for name, sql in queries.items():
            took = []
            for _ in range(TIMES):
                feeder.commit(feeder.rate)
                took.append(_cpu_s(reader, sql))
            held[name] = _share(took, 50)
    return new, alone, held


def _cpu_s(reader: LakeReader, sql: str) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    reader.table(sql)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _visible(feeder: Feeder, seen: list[tuple[int, float]]) -> list[float]:
    """Return for each commit how long after it a query had counted its rows."""
    first = seen[0][1]
    waits = []
    for rows, at in feeder.committed:
        known = [when for total, when in seen if total >= rows]
        if at >= first and known:
            waits.append(max(0.0, known[0] - at))
    return waits


def _share(values: list[float], share: int) -> float:
    return float(np.percentile(values, share))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rate", type=int, default=10_000, help="events a second [10000]")
    parser.add_argument("--seconds", type=float, default=150.0, help="for how long [150]")
    parser.add_argument(
        "--before",
        type=int,
        default=60,
        help="seconds of events before the first build [60]",
    )
    return parser.parse_args(sys.argv[1:])
