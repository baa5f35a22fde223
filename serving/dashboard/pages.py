"""The pages: their panels are SQL over the marts of docs/reference/marts.md, and nothing else."""

from __future__ import annotations

from typing import Final

from serving.dashboard.panel import (
    LIVE_READS,
    Column,
    Mart,
    Options,
    Page,
    Panel,
    compared,
    cost_each,
    numbers,
    selected,
    share,
)

_BY_SITE: Final = {
    "date": "metric_date",
    "tenant": "tenant_id",
    "site": "site_id",
    "channel": "channel",
}
_MINUTES: Final = Mart("live.metrics_1m", _BY_SITE, "gold.fct_metrics_1m", LIVE_READS)
_HOURS: Final = Mart("gold.fct_metrics_60m", _BY_SITE)
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
_FUNNEL: Final = Mart("gold.fct_funnel", _BY_SITE | {"date": "funnel_date"})
_GEO: Final = Mart("gold.fct_geo", {"date": "geo_date", "tenant": "tenant_id"})
_CAMPAIGNS: Final = Mart(
    "gold.fct_campaign_daily",
    {
        "date": "campaign_date",
        "tenant": "tenant_id",
        "channel": "channel",
        "campaign": "campaign_id",
    },
)
_ATTRIBUTION: Final = Mart(
    "gold.fct_attribution_daily",
    {
        "date": "attribution_date",
        "tenant": "tenant_id",
        "channel": "channel",
        "campaign": "campaign_id",
    },
)
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
_QUALITY: Final = Mart(
    "gold.rpt_data_quality_daily",
    {"date": "quality_date", "tenant": "tenant_id", "contract": "contract"},
)
_FRESHNESS: Final = Mart("gold.rpt_freshness", {"tenant": "tenant_id", "contract": "contract"})
_ANOMALIES: Final = Mart("gold.fct_anomalies", {"date": "anomaly_date", "tenant": "tenant_id"})
_CHECKS: Final = Mart("ops.expectation_results", {})

_LAST_HOUR: Final = """
    with recent as materialized (select * from {source} where {where}),
    newest as (select max(window_start) as window_start from recent),
"""
_MEASURES: Final = (
    Column("event_count", "Page events"),
    Column("page_view_count", "Page views"),
    Column("registration_count", "Registrations"),
    Column("purchase_count", "Purchases"),
    Column("revenue_usd", "Revenue", "usd"),
)
_SUMS: Final = tuple((one.name, f"sum({one.name})") for one in _MEASURES)

LIVE: Final = Page(
    path="/",
    title="Live",
    about="The last two hours up to the newest event, every committed event included.",
    newest=("gold.fct_metrics_1m", "metric_date"),
    has_dates=False,
    options=(
        Options("tenant", "Tenant", "gold.fct_metrics_60m", "tenant_id"),
        Options("site", "Site", "gold.fct_metrics_60m", "site_id"),
        Options("channel", "Channel", "gold.fct_metrics_60m", "channel"),
    ),
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
                select {selected(_SUMS)} from recent, newest
                where recent.window_start > newest.window_start - interval 60 minutes
            ),
            earlier as (
                select {selected(_SUMS)} from recent, newest
                where recent.window_start > newest.window_start - interval 120 minutes
                and recent.window_start <= newest.window_start - interval 60 minutes
            )
            {compared(name for name, _ in _SUMS)} from during, earlier""",
            _MEASURES,
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
            (Column("window_start", "Minute", "moment"), *_MEASURES[:2]),
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
                Column("last_seen_at", "Last seen", "moment"),
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

WEB: Final = Page(
    path="/web",
    title="Web and sales",
    about="Visitors, sign-ups and sales of the project sites.",
    newest=("gold.fct_metrics_60m", "metric_date"),
    options=LIVE.options,
    panels=(
        Panel(
            "web_numbers",
            "The period",
            "Sums of the period, against as many days right before it.",
            "numbers",
            _HOURS,
            numbers(*_SUMS),
            _MEASURES,
        ),
        Panel(
            "web_activity",
            "Activity",
            "Page events and page views by day, UTC; by hour for up to three days.",
            "lines",
            _HOURS,
            """select case when $by_hour then window_start
                    else date_trunc('day', window_start) end as window_start,
                sum(event_count) as event_count, sum(page_view_count) as page_view_count
            from {source} where {where} group by 1 order by 1""",
            (Column("window_start", "From", "moment"), *_MEASURES[:2]),
            width=2,
        ),
        Panel(
            "web_funnel",
            "Funnel",
            "Visitors of a day who signed up, connected a wallet and paid, in this order and on "
            "the same day; summed over the days.",
            "funnel",
            _FUNNEL,
            """with steps as (
                select sum(visitor_count) as visitors, sum(signup_count) as signups,
                    sum(wallet_connect_count) as wallets, sum(purchase_count) as purchases
                from {source} where {where}
            ),
            listed as (
                select 1 as position, 'Visit' as step, visitors as visitor_count,
                    visitors as before, visitors from steps
                union all select 2, 'Sign-up', signups, visitors, visitors from steps
                union all select 3, 'Wallet connect', wallets, signups, visitors from steps
                union all select 4, 'Purchase', purchases, wallets, visitors from steps
            )
            select step, visitor_count, visitor_count / nullif(visitors, 0) as share_of_visits,
                visitor_count / nullif(before, 0) as share_of_step_before
            from listed where visitors is not null order by position""",
            (
                Column("step", "Step", "text"),
                Column("visitor_count", "Visitors"),
                Column("share_of_visits", "Of visitors", "share"),
                Column("share_of_step_before", "Of the step before", "share"),
            ),
            width=1,
        ),
        Panel(
            "web_revenue",
            "Revenue",
            "What was paid by day, UTC; by hour for up to three days.",
            "bars",
            _HOURS,
            """select case when $by_hour then window_start
                    else date_trunc('day', window_start) end as window_start,
                sum(revenue_usd) as revenue_usd
            from {source} where {where} group by 1 order by 1""",
            (Column("window_start", "From", "moment"), Column("revenue_usd", "Revenue", "usd")),
            width=2,
        ),
        Panel(
            "web_countries",
            "Countries",
            "The 50 countries with most page views.",
            "table",
            _GEO,
            """select country, sum(page_view_count) as page_view_count,
                sum(purchase_count) as purchase_count, sum(revenue_usd) as revenue_usd
            from {source} where {where} group by all
            order by page_view_count desc, country limit 50""",
            (Column("country", "Country", "text"), _MEASURES[1], *_MEASURES[3:]),
            width=1,
        ),
        Panel(
            "web_sites",
            "Sites",
            "The project sites by revenue.",
            "table",
            _HOURS,
            """with sums as (
                select tenant_id, site_id, sum(page_view_count) as page_view_count,
                    sum(registration_count) as registration_count,
                    sum(purchase_count) as purchase_count, sum(revenue_usd) as revenue_usd
                from {source} where {where} group by all
            )
            select sums.tenant_id, sums.site_id, site.project_name,
                sums.* exclude (tenant_id, site_id)
            from sums left join gold.dim_sites as site using (tenant_id, site_id)
            order by revenue_usd desc, 1, 2 limit 200""",
            (
                Column("tenant_id", "Tenant", "text"),
                Column("site_id", "Site", "text"),
                Column("project_name", "Project", "text"),
                *_MEASURES[1:],
            ),
            also_reads=("gold.dim_sites",),
        ),
    ),
)

_AD_MEASURES: Final = (
    Column("spend_usd", "Spend", "usd"),
    Column("impression_count", "Impressions"),
    Column("click_count", "Clicks"),
    Column("conversion_count", "Ad conversions"),
    Column("ctr", "CTR", "share"),
    Column("cpc_usd", "CPC", "cost"),
    Column("cpa_usd", "CPA", "cost"),
)
_AD_SUMS: Final = (
    *((one.name, f"sum({one.name})") for one in _AD_MEASURES[:4]),
    ("ctr", share("click_count", "impression_count")),
    ("cpc_usd", cost_each("click_count")),
    ("cpa_usd", cost_each("conversion_count")),
)

MARKETING: Final = Page(
    path="/marketing",
    title="Marketing",
    about="What advertisements did and cost, and which touches led to revenue.",
    newest=("gold.fct_campaign_daily", "campaign_date"),
    options=(
        Options("tenant", "Tenant", "gold.fct_campaign_daily", "tenant_id"),
        Options("channel", "Channel", "gold.fct_campaign_daily", "channel"),
        Options("campaign", "Campaign", "gold.fct_campaign_daily", "campaign_id"),
    ),
    panels=(
        Panel(
            "ad_numbers",
            "The period",
            "Sums and ratios of the period, against as many days right before it.",
            "numbers",
            _CAMPAIGNS,
            numbers(*_AD_SUMS),
            _AD_MEASURES,
        ),
        Panel(
            "ad_spend",
            "Spend by channel",
            "What the advertisements of each channel cost, by day, UTC.",
            "lines",
            _CAMPAIGNS,
            """select campaign_date, channel, sum(spend_usd) as spend_usd
            from {source} where {where} group by all order by 1, 2""",
            (
                Column("campaign_date", "Day", "day"),
                Column("channel", "Channel", "text"),
                Column("spend_usd", "Spend", "usd"),
            ),
            width=2,
        ),
        Panel(
            "ad_attribution",
            "Attributed revenue",
            "Revenue by the channel of the first and of the last touch in the 30 days before the "
            "purchase; each column holds all of it.",
            "table",
            _ATTRIBUTION,
            """select channel,
                sum(revenue_usd) filter (where attribution_model = 'first_touch') as first_usd,
                sum(revenue_usd) filter (where attribution_model = 'last_touch') as last_usd
            from {source} where {where} group by all order by last_usd desc nulls last, 1""",
            (
                Column("channel", "Channel", "text"),
                Column("first_usd", "First touch", "usd"),
                Column("last_usd", "Last touch", "usd"),
            ),
            width=1,
        ),
        Panel(
            "ad_campaigns",
            "Campaigns",
            "Cost per click (CPC) and per conversion (CPA): all spend of the period, divided by "
            "its clicks or conversions.",
            "table",
            _CAMPAIGNS,
            "select campaign_id, channel, "
            + selected(_AD_SUMS)
            + " from {source} where {where} group by all order by spend_usd desc, 1, 2 limit 500",
            (
                Column("campaign_id", "Campaign", "text"),
                Column("channel", "Channel", "text"),
                *_AD_MEASURES,
            ),
        ),
    ),
)

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
                from {source} where {where} group by all
            ),
            during as (select * from days order by activity_date desc limit 1)
            """
            + compared(("daily", "weekly", "monthly", "stickiness"))
            + """
            from during
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

_CONDITIONS: Final = (
    Column("message_count", "Messages"),
    Column("event_count", "Good events"),
    Column("duplicate_count", "Duplicates"),
    Column("rejected_count", "Rejected"),
    Column("dead_letter_count", "Dead letters"),
    Column("late_count", "Late"),
)
_CONDITION_SUMS: Final = tuple((one.name, f"sum({one.name})") for one in _CONDITIONS)

QUALITY: Final = Page(
    path="/quality",
    title="Data quality",
    about="What arrived, in what condition, how fresh it is, and what the checks found.",
    newest=("gold.rpt_data_quality_daily", "quality_date"),
    options=(
        Options("tenant", "Tenant", "gold.rpt_data_quality_daily", "tenant_id"),
        Options("contract", "Contract", "gold.rpt_data_quality_daily", "contract"),
    ),
    panels=(
        Panel(
            "quality_numbers",
            "The period",
            "By the day of the commit to bronze, against as many days right before the period.",
            "numbers",
            _QUALITY,
            numbers(
                *_CONDITION_SUMS,
                ("good_share", share("event_count", "message_count")),
            ),
            (*_CONDITIONS, Column("good_share", "Good share", "share")),
        ),
        Panel(
            "quality_contracts",
            "Contracts",
            "Messages of the period by contract.",
            "table",
            _QUALITY,
            "select contract, "
            + selected(_CONDITION_SUMS)
            + f", {share('event_count', 'message_count')} as good_share "
            "from {source} where {where} group by all order by contract",
            (
                Column("contract", "Contract", "text"),
                *_CONDITIONS,
                Column("good_share", "Good share", "share"),
            ),
            width=2,
        ),
        Panel(
            "quality_suites",
            "Checks",
            "The newest run of each suite of expectations.",
            "table",
            _CHECKS,
            """with newest as (
                select * from {source} where {where}
                qualify checked_at = max(checked_at) over (partition by suite)
            )
            select suite, count(*) as rule_count, count(*) filter (where not success)
                as failed_count, max(checked_at) as checked_at
            from newest group by all order by failed_count desc, suite limit 200""",
            (
                Column("suite", "Suite", "text"),
                Column("rule_count", "Rules"),
                Column("failed_count", "Failed"),
            ),
            width=1,
        ),
        Panel(
            "quality_failed",
            "Rules that failed",
            "In the newest run of their suite.",
            "table",
            _CHECKS,
            """select table_name, rule, severity, observed, unexpected_count, checked_at
            from (
                select * from {source} where {where}
                qualify checked_at = max(checked_at) over (partition by suite)
            ) where not success order by severity, table_name, rule limit 200""",
            (
                Column("table_name", "Table", "text"),
                Column("rule", "Rule", "text"),
                Column("severity", "Severity", "text"),
                Column("observed", "Observed", "text"),
                Column("unexpected_count", "Rows"),
                Column("checked_at", "Checked", "moment"),
            ),
        ),
        Panel(
            "quality_freshness",
            "Freshness",
            "The newest data of each tenant and contract, as of the last build.",
            "table",
            _FRESHNESS,
            """select tenant_id, contract, newest_event_at, newest_committed_at,
                commit_lag_seconds, behind_seconds, event_count
            from {source} where {where} order by behind_seconds desc, 1, 2 limit 500""",
            (
                Column("tenant_id", "Tenant", "text"),
                Column("contract", "Contract", "text"),
                Column("newest_event_at", "Newest event", "moment"),
                Column("newest_committed_at", "Committed", "moment"),
                Column("commit_lag_seconds", "Kafka to bronze", "seconds"),
                Column("behind_seconds", "Behind the others", "seconds"),
                Column("event_count", "Events"),
            ),
        ),
        Panel(
            "quality_anomalies",
            "Anomalies",
            "The 100 newest hours of the period in which a metric was not as on other days.",
            "table",
            _ANOMALIES,
            """select window_start, tenant_id, site_id, metric, direction, severity,
                observed_value, expected_value
            from {source} where {where}
            order by window_start desc, severity, 2, 3, 4 limit 100""",
            (
                Column("window_start", "Hour", "moment"),
                Column("tenant_id", "Tenant", "text"),
                Column("site_id", "Site", "text"),
                Column("metric", "Metric", "text"),
                Column("direction", "Direction", "text"),
                Column("severity", "Severity", "text"),
                Column("observed_value", "Observed", "number"),
                Column("expected_value", "Expected", "number"),
            ),
        ),
    ),
)

PAGES: Final = (LIVE, WEB, MARKETING, PRODUCT, QUALITY)
