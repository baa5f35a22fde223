"""Fresh means that the newest events are recent, whenever the table was written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import AssetKey
from deltalake import DeltaTable, write_deltalake

from orchestration.freshness import freshness_result, newest_event_date

NOW = datetime(2026, 3, 10, 5, 0, tzinfo=UTC)
KEY = AssetKey(["gold", "fct_funnel"])


def table_with(tmp_path: Path, *dates: date) -> DeltaTable:
    data = pa.table({"funnel_date": pa.array(dates, pa.date32()), "n": range(len(dates))})
    write_deltalake(str(tmp_path / "t"), data, partition_by=["funnel_date"])
    return DeltaTable(str(tmp_path / "t"))


def test_the_newest_date_is_read_from_the_log(tmp_path: Path) -> None:
    table = table_with(tmp_path, date(2026, 3, 1), date(2026, 3, 9), date(2026, 2, 1))
    assert newest_event_date(table, "funnel_date", NOW.date()) == date(2026, 3, 9)


def test_a_date_in_the_future_makes_nothing_fresh(tmp_path: Path) -> None:
    table = table_with(tmp_path, date(2026, 3, 1), date(2036, 3, 9))
    assert newest_event_date(table, "funnel_date", NOW.date()) == date(2026, 3, 1)


def test_a_table_without_rows_has_no_newest_date(tmp_path: Path) -> None:
    assert newest_event_date(table_with(tmp_path), "funnel_date", NOW.date()) is None


@pytest.mark.parametrize(
    ("newest", "is_fresh"),
    [
        (date(2026, 3, 10), True),
        (date(2026, 3, 9), True),  # at five in the morning, six hours ago was yesterday
        (date(2026, 3, 8), False),
        (None, False),
    ],
)
def test_a_table_is_fresh_while_its_newest_events_are_of_the_last_hours(
    newest: date | None, is_fresh: bool
) -> None:
    assert freshness_result(KEY, newest, NOW, hours=6).passed is is_fresh


def test_yesterday_is_stale_in_the_afternoon() -> None:
    afternoon = NOW + timedelta(hours=10)
    result = freshness_result(KEY, date(2026, 3, 9), afternoon, hours=6)
    assert not result.passed
    assert result.description == (
        "the newest events are of 2026-03-09, expected 2026-03-10 or later"
    )
