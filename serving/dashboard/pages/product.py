"""The page of the products: who uses them, when and how."""

from __future__ import annotations

from typing import Final

from serving.dashboard.mart import Mart
from serving.dashboard.measures import compared
from serving.dashboard.page import Options, Page
from serving.dashboard.panel import Column, Panel

_USERS: Final = Mart("gold.fct_active_users", {"date": "activity_date", "tenant": "tenant_id"})
_TYPES: Final = Mart(
    "gold.fct_events_by_channel",
    {
        "date": "event_date",
        "tenant": "tenant_id",
        "channel": "channel",
        "event_type": "event_type",
    },
)
_HEATMAP: Final = Mart(
    "gold.fct_activity_heatmap",
    {"date": "activity_date", "tenant": "tenant_id", "channel": "channel"},
)
_DAYS_OF: Final = {"daily": 1, "weekly": 7, "monthly": 30, "stickiness": 30}
"""Over how many days the users of a measure are counted."""
_FULL: Final = "(history.first_day < during.activity_date - 6 - {})"
"""A week before, all these days were there, and the first of them whole."""

PRODUCT: Final = Page(
    path="/product",
    title="Product and channels",
    about="Who uses the products, when, and how.",
    newest=("gold.fct_events_by_channel", "event_date"),
    options=(
        Options("tenant", "Tenant", "gold.fct_events_by_channel", "tenant_id"),
        Options("channel", "Channel", "gold.fct_events_by_channel", "channel"),
        Options("event_type", "Event type", "gold.fct_events_by_channel", "event_type"),
    ),
    panels=(
        Panel(
            "product_numbers",
            "Active users on the last day",
            "Distinct users on the last day of the period, in the 7 and in the 30 days up to it, "
            "against a week earlier. A user of two tenants counts twice.",
            "numbers",
            _USERS,
            """with days as (
                select activity_date, sum(daily_user_count) as daily, sum(weekly_user_count)
                    as weekly, sum(monthly_user_count) as monthly,
                    sum(daily_user_count) / nullif(sum(monthly_user_count), 0) as stickiness
                from {source} where {of_tenant} and activity_date between $first::date - 7 and $last
                group by all
            ),
            during as (
                select * from days where activity_date >= $first
                order by activity_date desc limit 1
            ),
            history as (select min(activity_date) as first_day from {source} where {of_tenant})
            """
            + compared({name: _FULL.format(days) for name, days in _DAYS_OF.items()})
            + """
            from during cross join history
            left join days as earlier on earlier.activity_date = during.activity_date - 7""",
            (
                Column("daily", "Daily (DAU)"),
                Column("weekly", "Weekly (WAU)"),
                Column("monthly", "Monthly (MAU)"),
                Column("stickiness", "DAU / MAU", "share"),
            ),
        ),
        Panel(
            "product_events",
            "Events by channel",
            "Product events of each channel by day, UTC.",
            "lines",
            _TYPES,
            """select event_date, channel, sum(event_count) as event_count
            from {source} where {where} group by all order by 1, 2""",
            (
                Column("event_date", "Day", "day"),
                Column("channel", "Channel", "text"),
                Column("event_count", "Events"),
            ),
            width=2,
        ),
        Panel(
            "product_users",
            "Active users",
            "Distinct users of each day, and of the 7 and 30 days up to it, UTC.",
            "lines",
            _USERS,
            """select activity_date, sum(daily_user_count) as daily,
                sum(weekly_user_count) as weekly, sum(monthly_user_count) as monthly
            from {source} where {where} group by all order by 1""",
            (
                Column("activity_date", "Day", "day"),
                Column("daily", "Daily"),
                Column("weekly", "Weekly"),
                Column("monthly", "Monthly"),
            ),
            width=1,
        ),
        Panel(
            "product_heatmap",
            "When the products are used",
            "Product events by day of the week and hour, UTC, summed over the period.",
            "heatmap",
            _HEATMAP,
            """select day_of_week, hour_of_day, sum(event_count) as event_count
            from {source} where {where} group by all order by 1, 2""",
            (
                Column("day_of_week", "Day of the week", "number"),
                Column("hour_of_day", "Hour", "number"),
                Column("event_count", "Events"),
            ),
            width=2,
        ),
        Panel(
            "product_types",
            "Event types",
            "The 100 most frequent types of the period.",
            "table",
            _TYPES,
            """select event_type, sum(event_count) as event_count,
                sum(event_count) / nullif(sum(sum(event_count)) over (), 0) as event_share
            from {source} where {where} group by all order by 2 desc, 1 limit 100""",
            (
                Column("event_type", "Type", "text"),
                Column("event_count", "Events"),
                Column("event_share", "Share", "share"),
            ),
            width=1,
        ),
    ),
)
