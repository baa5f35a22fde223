"""``gold.fct_campaign_1m`` of made-up rows, of any size, that changes as builds change it.

A bucket is a tenant's day; a build writes it whole, however little of it is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import duckdb
from deltalake import write_deltalake

from lake.tables import Lake
from serving.mart import Mart, load_mart

NAME: Final = "fct_campaign_1m"
FIRST: Final = date(2026, 1, 1)
TENANTS: Final = 5
CAMPAIGNS: Final = 10
IN_A_BUCKET: Final = 1440 * CAMPAIGNS
_ROWS: Final = """
    with numbered as (
        select
            i as n,
            $day + (i // {bucket} // {tenants})::integer as metric_date,
            'tenant-' || i // {bucket} % {tenants} as tenant_id,
            i % {bucket} as place,
            hash(i, case when i % {bucket} < $changed then $edition else 0 end) as drawn
        from range($first, $last) as numbers (i)
    ),

    counted as (
        select
            *,
            200 + drawn % 800 as impressions,
            20 + drawn % 71 as clicks,
            1 + drawn % 13 as conversions,
            (drawn % 900000)::decimal(18, 4) / 10000 as spend
        from numbered
    )

    select
        tenant_id,
        metric_date,
        metric_date::timestamptz + to_minutes(place // {campaigns}) as window_start,
        'campaign-' || place % {campaigns} as campaign_id,
        ['google_ads', 'facebook_ads', 'tiktok', 'email'][1 + place % 4] as channel,
        impressions::bigint as impression_count,
        clicks::bigint as click_count,
        conversions::bigint as conversion_count,
        spend::decimal(18, 4) as spend_usd,
        clicks / impressions as ctr,
        (spend / clicks)::decimal(18, 4) as cpc_usd,
        (spend / conversions)::decimal(18, 4) as cpa_usd,
        conversions / clicks as conversion_rate
    from counted
"""


@dataclass
class CampaignTable:
    """The table, and how often a part of it was changed."""

    lake: Lake
    buckets: int
    edition: int = 0

    @property
    def mart(self) -> Mart:
        """Return what dbt's project says of it."""
        return load_mart(NAME)

    @property
    def rows(self) -> int:
        """How many it has."""
        return self.buckets * IN_A_BUCKET

    def write(self) -> None:
        """Make it."""
        self._write(0, self.buckets, 0, None)

    def change(self, count: int) -> None:
        """Write the last bucket anew, with ``count`` of its rows changed."""
        self.edition += 1
        last = self.buckets - 1
        day = FIRST + timedelta(days=last // TENANTS)
        predicate = f"tenant_id = 'tenant-{last % TENANTS}' and metric_date = '{day}'"
        self._write(last, self.buckets, count, predicate)

    def _write(self, first: int, last: int, changed: int, predicate: str | None) -> None:
        sql = _ROWS.format(bucket=IN_A_BUCKET, tenants=TENANTS, campaigns=CAMPAIGNS)
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            rows = connection.execute(
                sql,
                {
                    "day": FIRST,
                    "first": first * IN_A_BUCKET,
                    "last": last * IN_A_BUCKET,
                    "changed": changed,
                    "edition": self.edition,
                },
            ).to_arrow_table()
        write_deltalake(
            self.lake.uri("gold", NAME),
            rows,
            mode="overwrite",
            partition_by=["tenant_id", "metric_date"],
            predicate=predicate,
        )
