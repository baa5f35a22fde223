"""The numbers of the lake, as ``lakeward metrics`` tells them to Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from expectations.history import SCHEMA as RULES
from ingest.errors import LakewardError
from lake.tables import Lake
from serving.watch import metrics
from serving.watch.dagster import ask_dagster
from serving.watch.exporter import Exporter
from serving.watch.reading import Sample, read
from tests.ports import free_ports


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
