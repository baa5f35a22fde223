"""One look at the lake: the numbers that ``lakeward metrics`` serves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
from deltalake import DeltaTable

from expectations.history import NAME as EXPECTATIONS
from ingest.metric import Definition
from lake.duck import connect, delta_scan
from lake.erasure.mark import mark_in
from lake.inventory import TableFacts, inventory
from lake.maintenance.fence import is_maintenance
from lake.tables import DEAD_LETTERS, Lake, Layer
from serving.watch import metrics

COUNTRIES: Final = 50
ANOMALOUS_HOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metric."""

    metric: Definition
    labels: tuple[str, ...]
    value: float


def read(lake: Lake, home: Path, now: datetime) -> list[Sample]:
    """Return every number that the lake has; a table that is not there yet has none.

    Args:
        lake: which lake.
        home: where the disk is looked at.
        now: what the last day is counted from.

    Raises:
        LakewardError, duckdb.Error, DeltaError: a table cannot be read.
    """
    with connect(lake) as cursor:
        return [
            *_disk(home),
            *_tables(lake),
            *_bronze(lake),
            *_gold_newest(cursor, lake),
            *_hours(cursor, lake, now),
            *_countries(cursor, lake, now),
            *_anomalies(cursor, lake, now),
            *_rules(cursor, lake),
        ]


def _disk(home: Path) -> Iterator[Sample]:
    there = next(folder for folder in (home.resolve(), *home.resolve().parents) if folder.exists())
    usage = shutil.disk_usage(there)
    yield Sample(metrics.DISK_FREE, (), usage.free)
    yield Sample(metrics.DISK_SIZE, (), usage.total)


def _tables(lake: Lake) -> Iterator[Sample]:
    for one in inventory(lake):
        if isinstance(one, TableFacts):
            labels = (one.layer, one.name)
            yield Sample(metrics.TABLE_BYTES, labels, one.size_bytes)
            if one.rows is not None:
                yield Sample(metrics.TABLE_ROWS, labels, one.rows)
            if one.changed_at is not None:
                yield Sample(metrics.TABLE_CHANGED, labels, one.changed_at.timestamp())


def _bronze(lake: Lake) -> Iterator[Sample]:
    for name in lake.names("bronze"):
        if name == DEAD_LETTERS:
            continue
        newest = _newest_rows(lake.open("bronze", name))
        if newest is not None:
            yield Sample(metrics.BRONZE_NEWEST, (name,), newest)


def _newest_rows(table: DeltaTable) -> float | None:
    """Return when rows were last committed, seconds since 1970: what only moved rows is no news."""
    for limit in (20, None):
        for commit in table.history(limit):
            is_other = is_maintenance(commit) or mark_in(commit) is not None
            if commit.get("operation") == "WRITE" and not is_other:
                return float(commit["timestamp"]) / 1000
    return None


def _gold_newest(cursor: duckdb.DuckDBPyConnection, lake: Lake) -> Iterator[Sample]:
    rows = _ask(
        cursor,
        lake,
        "gold",
        "rpt_freshness",
        "select contract, epoch(max(newest_committed_at)) from {table} group by contract",
    )
    for contract, newest in rows:
        if newest is not None:
            yield Sample(metrics.GOLD_NEWEST, (str(contract),), float(newest))


def _hours(cursor: duckdb.DuckDBPyConnection, lake: Lake, now: datetime) -> Iterator[Sample]:
    end = now.replace(minute=0, second=0, microsecond=0)
    for span, first, last in (
        ("day", end - timedelta(days=1), end),
        ("week", end - timedelta(days=8), end - timedelta(days=1)),
    ):
        rows = _ask(
            cursor,
            lake,
            "gold",
            "fct_metrics_60m",
            "select coalesce(sum(revenue_usd), 0), coalesce(sum(event_count), 0), "
            "coalesce(sum(conversion_count), 0) from {table} "
            f"where metric_date between date '{first.date()}' and date '{last.date()}' "
            f"and window_start >= timestamptz '{first.isoformat()}' "
            f"and window_start < timestamptz '{last.isoformat()}'",
        )
        for revenue, events, conversions in rows:
            yield Sample(metrics.REVENUE, (span,), float(revenue))
            yield Sample(metrics.EVENTS, (span,), float(events))
            yield Sample(metrics.CONVERSIONS, (span,), float(conversions))


def _countries(cursor: duckdb.DuckDBPyConnection, lake: Lake, now: datetime) -> Iterator[Sample]:
    day = now.date() - timedelta(days=1)
    first = day - timedelta(days=7)
    rows = _ask(
        cursor,
        lake,
        "gold",
        "fct_geo",
        f"""
        with recent as (
            select
                country, sum(visit_count) filter (where geo_date = date '{day}') as day,
                sum(visit_count) filter (where geo_date < date '{day}') as week
            from {{table}} where geo_date between date '{first}' and date '{day}' group by country
        ),
        ranked as (
            select
                *,
                row_number() over (
                    order by coalesce(day, 0) + coalesce(week, 0) desc, country
                ) as place
            from recent
        )
        select case when place <= {COUNTRIES} then country else 'other' end, coalesce(sum(day), 0),
            coalesce(sum(week), 0)
        from ranked group by all
        """,
    )
    for country, of_day, of_week in rows:
        yield Sample(metrics.VISITS, (str(country), "day"), float(of_day))
        yield Sample(metrics.VISITS, (str(country), "week"), float(of_week))


def _anomalies(cursor: duckdb.DuckDBPyConnection, lake: Lake, now: datetime) -> Iterator[Sample]:
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=ANOMALOUS_HOURS)
    rows = _ask(
        cursor,
        lake,
        "gold",
        "fct_anomalies",
        "select metric, direction, severity, count(*) from {table} "
        f"where anomaly_date >= date '{since.date()}' "
        f"and window_start >= timestamptz '{since.isoformat()}' group by all",
    )
    for metric, direction, severity, count in rows:
        labels = (str(metric), str(direction), str(severity))
        yield Sample(metrics.ANOMALIES, labels, float(count))


def _rules(cursor: duckdb.DuckDBPyConnection, lake: Lake) -> Iterator[Sample]:
    rows = _ask(
        cursor,
        lake,
        "ops",
        EXPECTATIONS,
        "select layer, severity, count(*) filter (where not success) from {table} "
        "where severity is not null group by suite, layer, severity, run_id, checked_at "
        "qualify checked_at = max(checked_at) over (partition by suite)",
    )
    failed: dict[tuple[str, str], float] = {}
    for layer, severity, count in rows:
        labels = (str(layer), str(severity))
        failed[labels] = failed.get(labels, 0) + float(count)
    for labels, count in failed.items():
        yield Sample(metrics.FAILED_RULES, labels, count)


def _ask(
    cursor: duckdb.DuckDBPyConnection, lake: Lake, layer: Layer, name: str, sql: str
) -> Sequence[tuple[Any, ...]]:
    if not lake.exists(layer, name):
        return ()
    return cursor.execute(sql.format(table=delta_scan(lake.uri(layer, name)))).fetchall()
