"""What is expected of silver's events: flags and volumes, and that no event went astray.

Keys and not-null columns are tested by dbt, beside the models; they are not repeated here.
"""

from __future__ import annotations

from collections.abc import Collection

from expectations.suite import Aggregate, NewRows, Rule, Suite
from ingest.contracts.model import Contract
from lake.duck import quote_name, quote_text

REJECTED = "stg_rejected_events"
SESSIONS = "int_sessions"
LONG_SESSION_HOURS = 12
FLAGS = {
    "is_late": (0.5, "events arrive long after they happened: gold is corrected for past days"),
    "is_future": (0.05, "clocks of producers are ahead; these events are filed by arrival"),
    "is_date_clamped": (0.05, "event times are unbelievable; these events are filed by arrival"),
}
"""Flag -> the largest share that is no cause for worry, and what more would mean."""

KNOWN_SITE_SHARE = 0.95
VOLUME_BASE_DAYS = 14
VOLUME_MIN_DAYS = 4
VOLUME_FACTOR = 5


def silver_table(contract: Contract) -> str:
    """The silver table that holds a contract's events."""
    return f"stg_{contract.name}"


def silver_suite(contract: Contract, columns: Collection[str]) -> Suite:
    """Return what is expected of the new rows of a contract's silver table.

    Args:
        contract: the contract.
        columns: what the table has.
    """
    batch = {key: quote_name(key) for key in contract.key}
    rules = []
    for flag, (share, why) in FLAGS.items():
        if flag in columns:
            batch[flag] = f"case when {quote_name(flag)} then 'yes' else 'no' end"
            rules.append(
                Rule(
                    f"{flag} holds for at most {share:.0%}",
                    "ExpectColumnValuesToBeInSet",
                    {"column": flag, "value_set": ["no"], "mostly": round(1 - share, 4)},
                    "record" if flag == "is_late" else "warn",
                    why,
                )
            )
    if {"site_id", "site_category"} <= set(columns):
        batch["site"] = "case when site_id is null or site_category is not null then 'known' end"
        rules.append(
            Rule(
                "site_id is in the list of sites",
                "ExpectColumnValuesToNotBeNull",
                {"column": "site", "mostly": KNOWN_SITE_SHARE},
                "warn",
                "a site is missing from the seed `sites`, so its events have no category",
            )
        )
    table = silver_table(contract)
    return Suite(f"silver.{table}", "silver", table, NewRows(batch), tuple(rules), contract.key)


def volume_suite(contract: Contract, today: str) -> Suite:
    """Return what is expected of the number of events on the last complete day.

    It is compared with the median of the days before it, not with itself.

    Args:
        contract: the contract.
        today: the running UTC day, ``YYYY-MM-DD``, which is incomplete and left out.
    """
    table = silver_table(contract)
    sql = f"""
        with days as (
            select event_date, count(*) as events from {{silver.{table}}}
            where event_date < date {quote_text(today)}
                and event_date >= date {quote_text(today)} - {VOLUME_BASE_DAYS + 7}
            group by all
        ),
        judged as (select * from days order by event_date desc limit 1),
        base as (
            select median(days.events) as median_events, count(*) as days
            from days, judged
            where days.event_date < judged.event_date
                and days.event_date >= judged.event_date - {VOLUME_BASE_DAYS}
        )
        select
            judged.event_date, judged.events, base.median_events,
            judged.events / base.median_events as times_the_usual
        from judged, base
        where base.days >= {VOLUME_MIN_DAYS}
    """
    rule = Rule(
        f"the last day's events are within {VOLUME_FACTOR} times the usual, up or down",
        "ExpectColumnValuesToBeBetween",
        {
            "column": "times_the_usual",
            "min_value": 1 / VOLUME_FACTOR,
            "max_value": VOLUME_FACTOR,
        },
        "warn",
        "a producer stopped, or sends far more than it used to",
    )
    keys = ("event_date", "events", "median_events")
    name = f"silver.{table}.volume"
    return Suite(name, "silver", table, Aggregate(sql, (("silver", table),)), (rule,), keys)


def session_suite() -> Suite:
    """Return what is expected of the new rows of silver's sessions."""
    batch = {
        "tenant_id": "tenant_id",
        "session_id": "session_id",
        "duration_seconds": "duration_seconds::double",
        "event_count": "event_count::double",
    }
    rules = (
        Rule(
            "a session does not end before it starts",
            "ExpectColumnValuesToBeBetween",
            {"column": "duration_seconds", "min_value": 0},
            "block",
            "the order of events within a session is wrong",
        ),
        Rule(
            f"a session lasts at most {LONG_SESSION_HOURS} h",
            "ExpectColumnValuesToBeBetween",
            {
                "column": "duration_seconds",
                "max_value": LONG_SESSION_HOURS * 3600,
                "mostly": 0.99,
            },
            "warn",
            "a page polls in the background, or a bot never goes away",
        ),
        Rule(
            "a session has an event",
            "ExpectColumnValuesToBeBetween",
            {"column": "event_count", "min_value": 1},
            "block",
            "a session was kept although its events belong to another one",
        ),
    )
    keys = ("tenant_id", "session_id")
    return Suite(f"silver.{SESSIONS}", "silver", SESSIONS, NewRows(batch), rules, keys)
