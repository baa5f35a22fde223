"""A real Prometheus scrapes a writer, a collector and the lake, and answers every panel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from expectations.history import SCHEMA as RULES
from ingest.errors import LakewardError
from lake.tables import Lake
from serving.watch import metrics
from serving.watch.dagster import ask_dagster
from serving.watch.exporter import Exporter
from serving.watch.reading import Sample, read
from tests.grafana.dashboards import expressions
from tests.ingest.collector.conftest import make_key
from tests.ingest.collector.running import RunningCollector, environment_of
from tests.ports import free_ports

ROOT: Final = Path(__file__).parents[3]
PATIENCE_S: Final = 180.0
NEEDS_DAGSTER: Final = {"min(lakeward_lake_dagster_up)"}
"""Asked of a real Dagster in tests/orchestration/stack/test_up.py."""


def fill_gold(lake: Lake, now: datetime) -> None:
    """Write what builds would have: a day of 30 USD after a week of 700, and a shift to DE."""
    hour = now.replace(minute=0, second=0, microsecond=0)

    def metrics_of(at: datetime, revenue: int) -> dict[str, Any]:
        return {
            "tenant_id": "acme", "metric_date": at.date(), "window_start": at,
            "event_count": 100, "conversion_count": 5, "revenue_usd": Decimal(revenue),
        }  # fmt: skip

    rows = [metrics_of(hour - timedelta(hours=2), 30)]
    rows += [metrics_of(hour - timedelta(days=n, hours=2), 100) for n in range(1, 8)]
    rows += [metrics_of(hour - timedelta(days=9), 9_000), metrics_of(hour, 9_000)]
    write(lake, "fct_metrics_60m", rows)
    yesterday = now.date() - timedelta(days=1)
    write(
        lake,
        "fct_geo",
        [
            {"tenant_id": t, "geo_date": day, "country": country, "visit_count": count}
            for t in ("acme", "globex")
            for day, country, count in (
                (yesterday, "DE", 8), (yesterday, "US", 2), (now.date(), "US", 99),
                (yesterday - timedelta(days=7), "US", 40), (yesterday - timedelta(days=8), "FR", 9),
            )
        ],
    )  # fmt: skip
    write(
        lake,
        "fct_anomalies",
        [
            {
                "anomaly_date": at.date(), "window_start": at, "metric": "event_count",
                "direction": "drop", "severity": "critical",
            }
            for at in (hour - timedelta(hours=1), hour - timedelta(hours=30))
        ],
    )  # fmt: skip
    write_deltalake(lake.uri("silver", "stg_app_events"), pa.table({"event_id": ["e"]}))
    write(lake, "rpt_freshness", [{"contract": "app_events", "newest_committed_at": now}])
    checked = [
        {
            "run_id": f"r{n}", "checked_at": now - timedelta(minutes=9 - n), "layer": "gold",
            "suite": "gold.fct_geo", "severity": "block", "success": success,
        }
        for n, success in ((1, False), (1, False), (2, True), (2, False))
    ]  # fmt: skip
    data = pa.Table.from_pylist(checked, schema=RULES)
    write_deltalake(lake.uri("ops", "expectation_results"), data)


def write(lake: Lake, name: str, rows: Sequence[dict[str, Any]]) -> None:
    write_deltalake(lake.uri("gold", name), pa.Table.from_pylist(list(rows)))


def test_the_numbers_are_sums_of_the_marts(tmp_path: Path) -> None:
    now = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)
    lake = Lake(str(tmp_path / "lake"))
    assert {one.metric for one in read(lake, tmp_path, now)} == {
        metrics.DISK_FREE, metrics.DISK_SIZE,
    }  # fmt: skip
    fill_gold(lake, now)
    found = {(one.metric, *one.labels): one.value for one in read(lake, tmp_path / "new", now)}
    assert found[metrics.REVENUE, "day"] == 30
    assert found[metrics.REVENUE, "week"] == 700
    assert (found[metrics.EVENTS, "day"], found[metrics.EVENTS, "week"]) == (100, 700)
    assert found[metrics.CONVERSIONS, "week"] == 35
    visits = {labels[1:]: n for labels, n in found.items() if labels[0] is metrics.VISITS}
    assert visits == {
        ("DE", "day"): 16, ("DE", "week"): 0, ("US", "day"): 4, ("US", "week"): 80,
    }  # fmt: skip
    assert found[metrics.ANOMALIES, "event_count", "drop", "critical"] == 1
    assert found[metrics.FAILED_RULES, "gold", "block"] == 1, "of the newest run"
    assert found[metrics.GOLD_NEWEST, "app_events"] == now.timestamp()
    assert found[metrics.TABLE_ROWS, "gold", "fct_metrics_60m"] == 10
    write_deltalake(lake.uri("bronze", "app_events"), pa.table({"n": [1]}))
    (bronze,) = [one for one in read(lake, tmp_path, now) if one.metric is metrics.BRONZE_NEWEST]
    assert abs(bronze.value - datetime.now(UTC).timestamp()) < 600
    assert 0 < found[(metrics.DISK_FREE,)] < found[(metrics.DISK_SIZE,)]


def test_while_the_lake_cannot_be_read_the_last_numbers_stay_and_that_is_said() -> None:
    answers: list[Callable[[], list[Sample]]] = [
        lambda: [Sample(metrics.DISK_FREE, (), 7)],
        lambda: fail(),
    ]
    exporter = Exporter(lambda _now: answers.pop(0)())
    told = []
    for minute in (1, 2):
        exporter.look(datetime(2026, 3, 1, 0, minute, tzinfo=UTC))
        told.append({family.name: family.samples[0].value for family in exporter.collect()})
    first = datetime(2026, 3, 1, 0, 1, tzinfo=UTC).timestamp()
    numbers = {metrics.DISK_FREE.name: 7.0, metrics.READ_AT.name: first}
    assert told == [{**numbers, metrics.READABLE.name: 1}, {**numbers, metrics.READABLE.name: 0}]


def fail() -> list[Sample]:
    raise LakewardError("the store is away")


def test_a_dagster_that_does_not_answer_is_down() -> None:
    (port,) = free_ports(1)
    assert ask_dagster(f"http://127.0.0.1:{port}") == [Sample(metrics.DAGSTER_UP, ("page",), 0)]


class Prometheus:
    """One that scrapes what docker/prometheus/prometheus.yml names, where it is here."""

    def __init__(self, folder: Path, places: dict[str, str]) -> None:
        document = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        assert {job["job_name"] for job in document["scrape_configs"]} == set(places)
        document["scrape_configs"] = [
            {"job_name": job, "static_configs": [{"targets": [place]}]}
            for job, place in places.items()
        ]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(document))
        shutil.copy(ROOT / "docker/prometheus/alerts.yml", folder)
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def ask(self, expression: str) -> list[Any]:
        result: list[Any] = self.get("query", query=expression)["result"]
        return result


@contextmanager
def running(command: Sequence[str], log: Path, **environment: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait(told: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    left: object = "nothing"
    while time.monotonic() < deadline:
        try:
            left = told()
        except OSError as error:
            left = error
        if not left:
            return
        time.sleep(0.5)
    pytest.fail(f"{what}: {left}")


def test_every_panel_has_an_answer_from_the_running_stack(
    prometheus: None, tmp_path: Path, embedded_server: str
) -> None:
    home = tmp_path / "home"
    key = make_key(home, "acme")
    environment = environment_of(
        home, KAFKA_BOOTSTRAP_SERVERS=embedded_server, LAKEWARD_EXPORTER_SECONDS="1"
    )
    fill_gold(Lake(str(home / "lake")), datetime.now(UTC))
    writing, exporter = (f"127.0.0.1:{port}" for port in free_ports(2))
    lakeward = [sys.executable, "-m", "lakeward"]
    write_command = [*lakeward, "write", "--create-topics", "--metrics-address", writing]
    with (
        RunningCollector(home, KAFKA_BOOTSTRAP_SERVERS=embedded_server) as collecting,
        running(write_command, tmp_path / "writer.log", **environment),
        running(
            [*lakeward, "metrics", "--address", exporter], tmp_path / "metrics.log", **environment
        ),
    ):
        server = Prometheus(
            tmp_path,
            {
                "lakeward-writer": writing,
                "lakeward-collector": collecting.url.removeprefix("http://"),
                "lakeward-lake": exporter,
            },
        )
        with running(server.command, tmp_path / "prometheus.log"):
            wait(
                lambda: (
                    [
                        (target["scrapeUrl"], target["lastError"])
                        for target in server.get("targets")["activeTargets"]
                        if target["health"] != "up"
                    ]
                    or None
                ),
                "not scraped",
            )
            now = datetime.now(UTC).isoformat()
            payload = {"event_id": "e", "event_type": "opened", "occurred_at": now}
            sent = [{"contract": "app_events", "payload": payload}, {"contract": "none"}]
            assert collecting.post("/analytics", sent, key).status_code in (200, 207)
            asked = expressions() - NEEDS_DAGSTER
            assert len(asked) > 30
            wait(lambda: [one for one in asked if not server.ask(one)], "no answer to")
            assert server.ask(next(iter(NEEDS_DAGSTER))) == []
            groups = server.get("rules")["groups"]
            wait(
                lambda: [
                    rule["name"]
                    for group in server.get("rules")["groups"]
                    for rule in group["rules"]
                    if rule["health"] != "ok"
                ],
                "rules without health",
            )
            assert sum(len(group["rules"]) for group in groups) > 12
            anomalies = 'ALERTS{alertname="TrafficAnomaly",alertstate="firing"}'
            wait(lambda: None if server.ask(anomalies) else "quiet", "the alert")
