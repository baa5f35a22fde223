"""The page of visitors, sign-ups and sales of the project sites."""

from __future__ import annotations

from typing import Final

from serving.dashboard.mart import Mart
from serving.dashboard.measures import numbers
from serving.dashboard.page import Page
from serving.dashboard.pages.sites import BY_SITE, MEASURES, OPTIONS, SUMS
from serving.dashboard.panel import Column, Panel

_HOURS: Final = Mart("gold.fct_metrics_60m", BY_SITE)
_FUNNEL: Final = Mart("gold.fct_funnel", BY_SITE | {"date": "funnel_date"})
_GEO: Final = Mart("gold.fct_geo", {"date": "geo_date", "tenant": "tenant_id"})

WEB: Final = Page(
    path="/web",
    title="Web and sales",
    about="Visitors, sign-ups and sales of the project sites.",
    newest=("gold.fct_metrics_60m", "metric_date"),
    options=OPTIONS,
    panels=(
        Panel(
            "web_numbers",
            "The period",
            "Sums of the period, against as many days right before it.",
            "numbers",
            _HOURS,
            numbers(*SUMS),
            MEASURES,
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
            (Column("window_start", "From", "moment"), *MEASURES[:2]),
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
            (Column("country", "Country", "text"), MEASURES[1], *MEASURES[3:]),
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
                *MEASURES[1:],
            ),
            also_reads=("gold.dim_sites",),
        ),
    ),
)
