"""What the pages of the sites share: their measures, and the filters of their marts."""

from __future__ import annotations

from typing import Final

from serving.dashboard.page import Options
from serving.dashboard.panel import Column

BY_SITE: Final = {
    "date": "metric_date",
    "tenant": "tenant_id",
    "site": "site_id",
    "channel": "channel",
}
"""The column of each filter in a mart by site and channel."""
OPTIONS: Final = (
    Options("tenant", "Tenant", "gold.fct_metrics_60m", "tenant_id"),
    Options("site", "Site", "gold.fct_metrics_60m", "site_id"),
    Options("channel", "Channel", "gold.fct_metrics_60m", "channel"),
)
MEASURES: Final = (
    Column("event_count", "Page events"),
    Column("page_view_count", "Page views"),
    Column("registration_count", "Registrations"),
    Column("purchase_count", "Purchases"),
    Column("revenue_usd", "Revenue", "usd"),
)
SUMS: Final = tuple((one.name, f"sum({one.name})") for one in MEASURES)
