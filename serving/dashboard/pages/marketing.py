"""The page of advertisements: what they did and cost, and what they led to."""

from __future__ import annotations

from typing import Final

from serving.dashboard.mart import Mart
from serving.dashboard.measures import cost_each, numbers, selected, share
from serving.dashboard.page import Options, Page
from serving.dashboard.panel import Column, Panel

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
