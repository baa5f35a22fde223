"""No client's clock decides how many partitions there are, and no event is lost by its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

ODD = "a'b/c%20d\\e=f é\n*?[x]{y} 东京"


@pytest.fixture
def lake(spine: Any) -> Any:
    """Builds of a few models: a build of all takes several times as long and shows no more here."""
    return spine


def test_absurd_dates_are_filed_under_the_arrival_and_kept_as_they_came(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    absurd = [datetime(year, 1, 1, tzinfo=UTC) for year in (1, 1601, 1970, 1999, 2027, 2100, 9999)]
    lake.add("clickstream", [page_view(f"e{n}", when) for n, when in enumerate(absurd)])
    # A producer that sets Kafka's timestamp itself, wrongly.
    lake.add(
        "clickstream",
        [
            page_view(
                "k1",
                datetime(2090, 1, 1, tzinfo=UTC),
                _appended_at=datetime(2090, 1, 1, tzinfo=UTC),
            )
        ],
    )
    lake.build("--select", "sites", "stg_clickstream", "int_sessions")
    rows = lake.select(
        "select occurred_at, event_date, is_date_clamped from {silver.stg_clickstream} order by 1"
    )
    assert {row[1] for row in rows} == {lake.now.date()}
    assert all(row[2] for row in rows)
    assert [row[0].year for row in rows] == [1, 1601, 1970, 1999, 2027, 2090, 2100, 9999]
    assert lake.rows("silver.int_sessions") == []


def test_a_tenant_of_any_name_comes_back_as_it_went_in(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    for number in range(3):
        lake.add("clickstream", [page_view(f"e{number}", lake.now, tenant_id=ODD)])
        lake.build()
    assert lake.select("select distinct tenant_id from {silver.stg_clickstream}") == [(ODD,)]
    assert lake.select("select tenant_id, event_count from {silver.int_sessions}") == [(ODD, 3)]
    assert lake.select(
        "select tenant_id, sum(event_count) from {gold.fct_metrics_60m} group by 1"
    ) == [(ODD, 3)]


def test_bronze_is_silver_and_duplicates_and_rejected_by_count(
    lake: Any, chance: Any, feed: Callable[..., None]
) -> None:
    events = chance(17)
    for _ in range(2):
        feed(lake, events, 60)
        lake.build()
    rejected = Counter(
        dict(lake.select("select contract, count(*) from {silver.stg_rejected_events} group by 1"))
    )
    assert sum(rejected.values()) > 0
    reported = {
        row[0]: row[1:]
        for row in lake.select(
            "select contract, sum(row_count), sum(event_count), sum(duplicate_count), "
            "sum(rejected_count) from {gold.rpt_data_quality_daily} group by 1"
        )
    }
    allowed = {
        "clickstream": ("event_id", "event_type <> 'stare'"),
        "conversions": ("conversion_id", "conversion_type <> 'gift'"),
        "registrations": ("registration_id", "true"),
        "ad_events": ("event_id", "channel <> 'radio'"),
        "app_events": ("event_id", "true"),
    }
    for contract, (key, valid) in allowed.items():
        rows, kept, keys = lake.select(
            f"select count(*), count(*) filter (where {valid}), "
            f"count(distinct (tenant_id, {key})) filter (where {valid}) "
            f"from {{bronze.{contract}}}"
        )[0]
        [(silver,)] = lake.select(f"select count(*) from {{silver.stg_{contract}}}")
        assert silver == keys
        assert rows == silver + (kept - keys) + rejected[contract]
        assert reported[contract] == (rows, silver, kept - keys, rejected[contract])
    assert lake.select(
        "select sum((null_counts ->> '$.country')::bigint) from {gold.rpt_data_quality_daily} "
        "where contract = 'clickstream'"
    ) == lake.select("select count(*) from {bronze.clickstream} where country is null")
    assert lake.select(
        "select tenant_id, newest_event_at, event_count from {gold.rpt_freshness} "
        "where contract = 'conversions' order by 1"
    ) == lake.select(
        "select tenant_id, max(event_at), count(*) from {silver.stg_conversions} "
        "group by 1 order by 1"
    )
