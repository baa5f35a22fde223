"""That events are of the usual kinds: each listed value's share of a day, against the days before.

The distance of two distributions is the total variation distance: half of the sum of the shares'
differences. It is 0 for the same shares, and 1 when no value is in both; a value that takes a
tenth of all events from the others moves it by 0.1.
"""

from __future__ import annotations

from collections.abc import Collection

from expectations.silver import VOLUME_BASE_DAYS, silver_table
from expectations.suite import Aggregate, Rule, Suite
from ingest.contracts.model import Contract
from lake.duck import quote_name, quote_text

LARGEST_DISTANCE = 0.25
LEAST_EVENTS = 200
"""Fewer events a day, and the shares of chance differ by too much."""


def distribution_suite(contract: Contract, columns: Collection[str], today: str) -> Suite | None:
    """Return what is expected of the shares of each value on the last complete day.

    Args:
        contract: says which columns have listed values; None is returned when none has.
        columns: what the silver table has.
        today: the running UTC day, ``YYYY-MM-DD``, which is incomplete and left out.
    """
    listed = [f.name for f in contract.fields if f.allowed and not f.pii and f.name in columns]
    if not listed:
        return None
    table = silver_table(contract)
    counted = " union all ".join(
        f"""
        select
            {quote_text(name)} as column_name,
            coalesce({quote_name(name)}::varchar, '(none)') as value,
            count(*) filter (event_date = judged.day) as events,
            count(*) filter (event_date < judged.day) as base_events
        from days, judged
        where event_date >= judged.day - {VOLUME_BASE_DAYS}
        group by all
        """
        for name in listed
    )
    sql = f"""
        with days as (
            select event_date, {", ".join(quote_name(name) for name in listed)}
            from {{silver.{table}}}
            where event_date < date {quote_text(today)}
                and event_date >= date {quote_text(today)} - {VOLUME_BASE_DAYS + 7}
        ),
        judged as (select max(event_date) as day from days),
        counted as ({counted}),
        shares as (
            select
                column_name, value, events,
                base_events,
                events / sum(events) over columns as share,
                base_events / sum(base_events) over columns as usual_share
            from counted
            window columns as (partition by column_name)
        )
        select
            column_name,
            sum(events)::bigint as events,
            arg_max(value, abs(share - usual_share)) as moved_most,
            round(arg_max(share, abs(share - usual_share)), 4) as its_share,
            round(arg_max(usual_share, abs(share - usual_share)), 4) as its_usual_share,
            sum(abs(share - usual_share)) / 2 as distance
        from shares
        group by column_name
        having sum(events) >= {LEAST_EVENTS} and sum(base_events) >= {LEAST_EVENTS}
        order by column_name
    """
    rule = Rule(
        "the last day's events are of the usual kinds",
        "ExpectColumnValuesToBeBetween",
        {"column": "distance", "min_value": 0, "max_value": LARGEST_DISTANCE},
        "warn",
        "a producer stopped, or sends other values than it used to",
    )
    return Suite(
        name=f"silver.{table}.distribution",
        layer="silver",
        table=table,
        batch=Aggregate(sql, (("silver", table),)),
        rules=(rule,),
        keys=("column_name", "moved_most", "its_share", "its_usual_share"),
    )
