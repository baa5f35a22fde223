"""Planted spikes and drops are found, and what is usual is left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from numpy.typing import NDArray

FIRST = date(2026, 1, 1)
DAYS = 50
JUDGED_FROM = FIRST + timedelta(days=28)
SITES = 8
PLANTED = 60
Hour = tuple[str, datetime]


def hour_of(day: int, hour: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(
        days=day, hours=hour
    )


@pytest.fixture(scope="module")
def planted() -> dict[Hour, str]:
    """Where spikes and drops are."""
    return {}


@pytest.fixture(scope="module")
def counts(planted: dict[Hour, str]) -> NDArray[np.int64]:
    """Poisson events by site, day and hour: sites of unlike size, a daily cycle, weekends.

    60 spikes of three times the usual, 60 drops to a tenth of it, among hours in which 20 or more
    are usual.
    """
    rng = np.random.default_rng(42)
    size = rng.uniform(20, 400, SITES)
    cycle = 0.2 + 0.8 * np.exp(-(((np.arange(24) - 14) / 5.0) ** 2))
    weekday = np.where((np.arange(DAYS) + FIRST.weekday()) % 7 < 5, 1.0, 0.75)
    rate = size[:, None, None] * weekday[None, :, None] * cycle[None, None, :]
    places = np.argwhere(rate >= 20)
    places = places[(places[:, 1] >= 28) & (places[:, 1] < DAYS - 1)]
    chosen = places[rng.choice(len(places), 2 * PLANTED, replace=False)]
    for number, (site, day, hour) in enumerate(chosen.tolist()):
        rate[site, day, hour] *= 3 if number < PLANTED else 0.1
        planted[f"s{site}", hour_of(day, hour)] = "spike" if number < PLANTED else "drop"
    return np.asarray(rng.poisson(rate), dtype=np.int64)


SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("metric_date", pa.date32()),
        ("window_start", pa.timestamp("us", tz="UTC")),
        ("site_id", pa.string()),
        ("channel", pa.string()),
        ("event_count", pa.int64()),
        ("page_view_count", pa.int64()),
        ("registration_count", pa.int64()),
        ("conversion_count", pa.int64()),
        ("purchase_count", pa.int64()),
        ("revenue_usd", pa.decimal128(18, 2)),
    ]
)
SILENT_FROM = 41


def metrics(tenant: str, counts: NDArray[np.int64], days: range) -> pa.Table:
    """Return the rows of fct_metrics_60m of these days; an hour without an event has none."""
    rows = [
        {
            "tenant_id": tenant,
            "metric_date": hour_of(day, hour).date(),
            "window_start": hour_of(day, hour),
            "site_id": f"s{site}",
            "channel": "direct",
            "event_count": int(counts[site, day, hour]),
            "page_view_count": 0,
            "registration_count": 0,
            "conversion_count": 0,
            "purchase_count": 0,
            "revenue_usd": Decimal("0.00"),
        }
        for site, day, hour in np.argwhere(counts > 0).tolist()
        if day in days
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture(scope="module")
def built(make_lake: Any, counts: NDArray[np.int64]) -> Any:
    """The mart, built in three increments of which the last brings a late correction of a day.

    Tenant globex has 50 events an hour and stops, while acme goes on.
    """
    lake = make_lake()
    uri = lake.lake.uri("gold", "fct_metrics_60m")
    steady = np.full((1, DAYS, 24), 50, dtype=np.int64)
    steady[:, SILENT_FROM:] = 0
    halved = counts.copy()
    halved[:, 33] //= 2

    def bring(table: pa.Table, **how: Any) -> None:
        names = {"partition_by": ["tenant_id", "metric_date"], "name": "gold.fct_metrics_60m"}
        write_deltalake(uri, table, **{"mode": "append", **names, **how})

    for number, days in enumerate((range(36), range(36, 43), range(43, DAYS))):
        bring(metrics("acme", halved if number == 0 else counts, days))
        bring(metrics("globex", steady, days))
        if number == 2:
            late = f"tenant_id = 'acme' and metric_date = '{hour_of(33, 0).date()}'"
            bring(metrics("acme", counts, range(33, 34)), mode="overwrite", predicate=late)
        result = lake.build("--select", "fct_anomalies")
        assert result.node("fct_anomalies").mode == ("full" if number == 0 else "increment")
    return lake


@pytest.fixture(scope="module")
def found(built: Any) -> list[dict[str, Any]]:
    """What it holds of acme, from the first day that has a whole baseline on."""
    names = ["site_id", "window_start", "direction", "severity", "observed_value",
             "expected_low", "expected_high", "base_day_count"]  # fmt: skip
    rows = built.select(
        f"select {', '.join(names)} from {{gold.fct_anomalies}} "
        f"where tenant_id = 'acme' and anomaly_date >= date '{JUDGED_FROM}'"
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def precision_and_recall(
    found: list[dict[str, Any]], planted: dict[Hour, str], *severities: str
) -> tuple[float, float]:
    told = {
        (row["site_id"], row["window_start"]): row["direction"]
        for row in found
        if row["severity"] in severities
    }
    hits = sum(planted.get(hour) == direction for hour, direction in told.items())
    return hits / len(told), hits / len(planted)


def test_what_both_rules_find_is_mostly_what_was_planted(
    found: list[dict[str, Any]], planted: dict[Hour, str]
) -> None:
    """The numbers of docs/concepts/anomalies.md."""
    precision, recall = precision_and_recall(found, planted, "warning", "critical")
    assert precision >= 0.98
    assert recall >= 0.88


def test_critical_is_never_chance_and_with_notices_hardly_anything_is_missed(
    found: list[dict[str, Any]], planted: dict[Hour, str]
) -> None:
    precision, recall = precision_and_recall(found, planted, "critical")
    assert precision == 1
    assert recall >= 0.6
    precision, recall = precision_and_recall(found, planted, "notice", "warning", "critical")
    assert precision >= 0.8
    assert recall >= 0.99


def test_the_rules_come_out_the_same_in_numpy(
    found: list[dict[str, Any]], counts: NDArray[np.int64]
) -> None:
    expected = {}
    for site, day, hour in np.ndindex(counts.shape):
        if day < 28 or (day, hour) == (DAYS - 1, 23):  # the newest hour is not judged
            continue
        base, seen = counts[site, day - 28 : day, hour].astype(float), counts[site, day, hour]
        middle, least = np.median(base), np.sqrt(max(base.mean(), 1))
        z = (seen - base.mean()) / max(base.std(ddof=1), least)
        robust = (seen - middle) / max(1.4826 * np.median(abs(base - middle)), least)
        if abs(z) > 3 or abs(robust) > 3.5:
            both = "critical" if abs(robust) >= 7 else "warning"
            severity = both if abs(z) > 3 and abs(robust) > 3.5 else "notice"
            expected[f"s{site}", hour_of(day, hour)] = severity
    assert {(r["site_id"], r["window_start"]): r["severity"] for r in found} == expected


def test_a_judged_hour_is_not_part_of_its_own_baseline(found: list[dict[str, Any]]) -> None:
    assert {row["base_day_count"] for row in found} == {28}
    for row in found:
        if row["severity"] != "notice":
            assert not row["expected_low"] <= row["observed_value"] <= row["expected_high"]


def test_a_tenant_that_stops_while_others_go_on_is_a_drop(built: Any) -> None:
    rows = built.select(
        "select window_start, direction, severity, observed_value from {gold.fct_anomalies} "
        "where tenant_id = 'globex' order by 1"
    )
    silent = [hour_of(day, hour) for day in range(SILENT_FROM, DAYS) for hour in range(24)][:-1]
    assert [row[0] for row in rows][:48] == silent[:48]
    assert {row[1:] for row in rows[:48]} == {("drop", "critical", 0.0)}


def test_increments_and_a_full_refresh_are_equal(built: Any) -> None:
    before = built.rows("gold.fct_anomalies")
    built.build("--select", "fct_anomalies", "--full-refresh")
    assert built.rows("gold.fct_anomalies") == before
