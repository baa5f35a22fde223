"""A backfill computes the days it was asked for again, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.dbt_run import backfill_args
from lake.errors import BuildError

DAYS = backfill_args(date(2026, 2, 27), date(2026, 2, 28))
IN_RANGE = {
    "silver.stg_clickstream": "event_date",
    "silver.int_sessions": "session_date",
    "gold.fct_funnel": "funnel_date",
    "gold.fct_metrics_60m": "metric_date",
}


@pytest.fixture
def lake(spine: Any) -> Any:
    """Builds of a few models: a build of all takes several times as long and shows no more here."""
    return spine


@pytest.fixture
def four_days(lake: Any, chance: Any) -> Any:
    """A built lake with events on each day from 26 February to 1 March."""
    events = chance(3)
    for number in range(4):
        lake.now = datetime(2026, 2, 26, 12, tzinfo=UTC) + timedelta(days=number)
        for contract in ("clickstream", "registrations", "conversions"):
            lake.add(contract, events.batch(contract, lake.now, 40))
    lake.build()
    return lake


def progress(lake: Any, label: str) -> int | None:
    """Return how far a model has read its first upstream."""
    upstream = "bronze.clickstream" if "stg" in label else "silver.stg_clickstream"
    app_id = f"dbt:{upstream}:{lake.open(upstream).metadata().id}"
    found: int | None = lake.open(label).transaction_version(app_id)
    assert found is not None
    return found


def test_a_backfill_of_days_that_are_right_changes_nothing(four_days: Any) -> None:
    versions = four_days.versions()
    four_days.build(*DAYS)
    assert four_days.versions() == versions


def test_a_backfill_mends_its_days_and_leaves_the_others_as_they_are(
    four_days: Any,
) -> None:
    good = {label: four_days.rows(label) for label in four_days.tables()}
    read_up_to = {label: progress(four_days, label) for label in IN_RANGE}
    for label, day in IN_RANGE.items():
        # Both a day of the range and one outside of it are broken.
        table = four_days.open(label)
        table.delete(f"{day} = '2026-02-27'")
        table.delete(f"{day} = '2026-03-01'")
    broken = {
        label: four_days.rows(label, f"{day} = date '2026-03-01'")
        for label, day in IN_RANGE.items()
    }
    assert all(rows == [] for rows in broken.values())
    four_days.build(*DAYS)
    for label, day in IN_RANGE.items():
        assert four_days.rows(label, f"{day} = date '2026-03-01'") == [], label
        mended = set(map(repr, four_days.rows(label)))
        assert len(mended) > 0
        assert mended < set(map(repr, good[label])), label
    assert read_up_to == {label: progress(four_days, label) for label in IN_RANGE}
    versions = four_days.versions()
    four_days.build(*DAYS)
    assert four_days.versions() == versions
    four_days.build(*backfill_args(date(2026, 3, 1), date(2026, 3, 1)))
    assert good == {label: four_days.rows(label) for label in four_days.tables()}


def test_a_build_after_a_backfill_still_takes_what_was_not_read(
    four_days: Any, tmp_path: Path, chance: Any, same_tables: Any
) -> None:
    events = chance(21)
    for contract in ("clickstream", "conversions"):
        four_days.add(contract, events.batch(contract, four_days.now - timedelta(days=2), 40))
    four_days.build(*backfill_args(date(2026, 2, 27), date(2026, 2, 28)))
    four_days.build()
    other = four_days.copy_bronze_to(tmp_path / "refresh")
    other.build()
    same_tables(four_days, other)


def test_a_key_whose_first_row_lies_outside_of_the_range_does_not_get_in(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", datetime(2026, 2, 20, 12, tzinfo=UTC))])
    lake.add("clickstream", [page_view("e1", datetime(2026, 2, 27, 12, tzinfo=UTC))])
    lake.build()
    lake.build(*DAYS)
    assert lake.select("select event_date from {silver.stg_clickstream}") == [(date(2026, 2, 20),)]


def test_a_session_over_midnight_stays_with_the_day_it_began_on(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    late = datetime(2026, 2, 26, 23, 50, tzinfo=UTC)
    lake.add(
        "clickstream",
        [page_view("e1", late), page_view("e2", late + timedelta(minutes=20))],
    )
    lake.build()
    sessions = lake.rows("silver.int_sessions")
    assert len(sessions) == 1
    lake.build(*DAYS)
    assert lake.rows("silver.int_sessions") == sessions
    lake.open("silver.int_sessions").delete()
    lake.build(*DAYS)
    assert lake.rows("silver.int_sessions") == []
    lake.build(*backfill_args(date(2026, 2, 26), date(2026, 2, 26)))
    assert lake.rows("silver.int_sessions") == sessions


def test_a_range_without_days_or_with_parts_of_days_is_refused(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    with pytest.raises(BuildError, match="no day in it"):
        backfill_args(date(2026, 3, 2), date(2026, 3, 1))
    lake.add("clickstream", [page_view("e1", lake.now)])
    part = ("--event-time-start", "2026-02-27T10:00:00", "--event-time-end", "2026-02-28")
    result = lake.dbt("run", "--select", "stg_ad_events", *part)
    assert not result.succeeded
    assert "whole UTC days" in result.failures()[0].message
