"""The page of the last two hours: live views, or gold where there are none."""

from __future__ import annotations

from typing import Final

from serving.dashboard.mart import LIVE_READS, Mart
from serving.dashboard.measures import compared, cost_each, selected
from serving.dashboard.page import Page
from serving.dashboard.pages.sites import BY_SITE, MEASURES, OPTIONS, SUMS
from serving.dashboard.panel import Column, Panel

_MINUTES: Final = Mart("live.metrics_1m", BY_SITE, "gold.fct_metrics_1m", LIVE_READS)
_CAMPAIGN_MINUTES: Final = Mart(
    "live.campaign_1m",
    {"date": "metric_date", "tenant": "tenant_id"},
    "gold.fct_campaign_1m",
    ("bronze.ad_events",),
)
_ACTIVE: Final = Mart(
    "live.active_sessions",
    {"tenant": "tenant_id", "site": "site_id"},
    "gold.current_active_sessions",
    LIVE_READS,
)

_LAST_HOUR: Final = """
    with recent as materialized (select * from {source} where {where}),
    newest as (select max(window_start) as window_start from recent),
"""

LIVE: Final = Page(
    path="/",
    title="Live",
    about="The last two hours up to the newest event, every committed event included.",
    newest=("gold.fct_metrics_1m", "metric_date"),
    has_dates=False,
    options=OPTIONS,
    panels=(
        Panel(
            "live_numbers",
            "Last 60 minutes",
            "The 60 minutes up to the newest event, against the 60 minutes before them.",
            "numbers",
            _MINUTES,
            _LAST_HOUR
            + f"""
            during as (
                select {selected(SUMS)} from recent, newest
                where recent.window_start > newest.window_start - interval 60 minutes
            ),
            earlier as (
                select {selected(SUMS)} from recent, newest
                where recent.window_start > newest.window_start - interval 120 minutes
                and recent.window_start <= newest.window_start - interval 60 minutes
            ),
            history as (
                select coalesce(least(
                    (select min(window_start) from recent),
                    (
                        select min(window_start) from {{table}}
                        where metric_date >= $first and {{of_tenant}}
                    )
                ) <= newest.window_start - interval 120 minutes, false) as is_full from newest
            )
            {compared(dict.fromkeys((name for name, _ in SUMS), "history.is_full"))}
            from during, earlier, history""",
            MEASURES,
        ),
        Panel(
            "live_activity",
            "Activity by minute",
            "Page events and page views in each of the last 120 minutes, UTC.",
            "lines",
            _MINUTES,
            _LAST_HOUR
            + """
            minutes as (
                select unnest(generate_series(
                    window_start - interval 119 minutes, window_start, interval 1 minute
                )) as window_start from newest
            ),
            counted as (
                select window_start, sum(event_count) as event_count,
                    sum(page_view_count) as page_view_count
                from recent group by all
            )
            select minutes.window_start, coalesce(counted.event_count, 0) as event_count,
                coalesce(counted.page_view_count, 0) as page_view_count
            from minutes left join counted using (window_start) order by 1""",
            (Column("window_start", "Minute", "moment"), *MEASURES[:2]),
        ),
        Panel(
            "live_revenue",
            "Revenue by ten minutes",
            "What was paid in each ten minutes of the last two hours, UTC.",
            "bars",
            _MINUTES,
            _LAST_HOUR
            + """
            steps as (
                select unnest(generate_series(
                    time_bucket(interval 10 minutes, window_start) - interval 110 minutes,
                    window_start, interval 10 minutes
                )) as window_start from newest
            ),
            paid as (
                select time_bucket(interval 10 minutes, window_start) as window_start,
                    sum(revenue_usd) as revenue_usd, sum(purchase_count) as purchase_count
                from recent group by all
            )
            select steps.window_start, coalesce(paid.revenue_usd, 0) as revenue_usd
            from steps left join paid using (window_start) order by 1""",
            (Column("window_start", "From", "moment"), Column("revenue_usd", "Revenue", "usd")),
            width=1,
        ),
        Panel(
            "live_sites",
            "Active sessions",
            "Visits with a page event in the last 30 minutes, by site and kind of page.",
            "table",
            _ACTIVE,
            """select site_id, page_type, count(*) as session_count,
                count(*) filter (where user_id is not null) as signed_in_count,
                max(last_seen_at) as last_seen_at
            from {source} where {where} group by all order by session_count desc, 1, 2 limit 50""",
            (
                Column("site_id", "Site", "text"),
                Column("page_type", "Page", "text"),
                Column("session_count", "Sessions"),
                Column("signed_in_count", "Signed in"),
                Column("last_seen_at", "Last seen", "clock"),
            ),
            width=1,
        ),
        Panel(
            "live_campaigns",
            "Campaigns, last 60 minutes",
            "Advertisements in the 60 minutes up to the newest one.",
            "table",
            _CAMPAIGN_MINUTES,
            _LAST_HOUR
            + f"""
            last_hour as (
                select recent.* from recent, newest
                where recent.window_start > newest.window_start - interval 60 minutes
            )
            select campaign_id, sum(click_count) as click_count, sum(spend_usd) as spend_usd,
                {cost_each("click_count")} as cpc_usd
            from last_hour group by campaign_id order by spend_usd desc, 1 limit 50""",
            (
                Column("campaign_id", "Campaign", "text"),
                Column("click_count", "Clicks"),
                Column("spend_usd", "Spend", "usd"),
                Column("cpc_usd", "CPC", "cost"),
            ),
            width=1,
        ),
    ),
)
