"""Every metric of ``lakeward metrics``: its name, its kind, its labels, and what it means.

Nothing here is a business number of its own: these are sums over rows of gold, and comparing two of
them is a rule's work (docker/prometheus/alerts.yml). Labels are bounded; never a tenant.

``docs/reference/metrics.md`` is made from this file (`make docs`).
"""

from __future__ import annotations

from typing import Final

from ingest.metric import Definition

SPANS: Final = ("day", "week")
"""``day`` is the newest one, ``week`` the seven before it: divide it by 7 to compare."""

READ_AT: Final = Definition(
    "lakeward_lake_read_timestamp_seconds",
    "gauge",
    (),
    "When the numbers below were read, seconds since 1970.",
)
"""Reading failed since when it stands still; the log says why."""

READABLE: Final = Definition(
    "lakeward_lake_readable", "gauge", (), "1 when the last reading worked, else 0."
)
"""While it is 0 the numbers below are those of the reading before."""

TABLE_ROWS: Final = Definition(
    "lakeward_lake_table_rows", "gauge", ("layer", "table"), "Rows of a table."
)
"""Absent for a table with a file that has no statistics."""

TABLE_BYTES: Final = Definition(
    "lakeward_lake_table_bytes", "gauge", ("layer", "table"), "Bytes of a table's newest version."
)
"""Files that older versions keep until vacuum are not among them."""

TABLE_CHANGED: Final = Definition(
    "lakeward_lake_table_changed_timestamp_seconds",
    "gauge",
    ("layer", "table"),
    "When a table's newest version was committed, seconds since 1970.",
)
"""Compaction makes versions too. For gold it tells when a build last wrote the table."""

BRONZE_NEWEST: Final = Definition(
    "lakeward_lake_bronze_newest_timestamp_seconds",
    "gauge",
    ("contract",),
    "The newest commit of an event to bronze, seconds since 1970.",
)
"""From the log, commits of maintenance left out: compaction does not look like events."""

GOLD_NEWEST: Final = Definition(
    "lakeward_lake_gold_newest_timestamp_seconds",
    "gauge",
    ("contract",),
    "The newest commit of an event that gold knows of (rpt_freshness), seconds since 1970.",
)
"""What bronze has beyond it waits for a build."""

REVENUE: Final = Definition(
    "lakeward_lake_revenue_usd", "gauge", ("span",), "Revenue of complete hours (fct_metrics_60m)."
)
"""The day is the last 24 complete hours, the week the seven times 24 before them."""

EVENTS: Final = Definition(
    "lakeward_lake_page_events", "gauge", ("span",), "Page events, as revenue (fct_metrics_60m)."
)
"""The traffic."""

CONVERSIONS: Final = Definition(
    "lakeward_lake_conversions", "gauge", ("span",), "Conversions, as revenue (fct_metrics_60m)."
)
"""Over the page events of the same span: the conversion rate."""

VISITS: Final = Definition(
    "lakeward_lake_country_visits",
    "gauge",
    ("country", "span"),
    "Visits by country (fct_geo).",
)
"""The day is the last complete UTC day, the week the seven before it. The 50 countries with most
visits, and ``other``; a visit of two days counts on both."""

ANOMALIES: Final = Definition(
    "lakeward_lake_anomalies",
    "gauge",
    ("metric", "direction", "severity"),
    "Anomalous hours of the last three, over tenants and sites (fct_anomalies).",
)
"""docs/concepts/anomalies.md says what is one."""

FAILED_RULES: Final = Definition(
    "lakeward_lake_failed_rules",
    "gauge",
    ("layer", "severity"),
    "Expectations that failed in the newest run of their suite (ops.expectation_results).",
)
"""By severity: `block` stops what follows in Dagster, `warn` is shown, `record` is only kept."""

DISK_FREE: Final = Definition(
    "lakeward_lake_disk_free_bytes", "gauge", (), "Free bytes where LAKEWARD_HOME is."
)
"""An object store has its own ways to tell."""

DISK_SIZE: Final = Definition(
    "lakeward_lake_disk_size_bytes", "gauge", (), "Size of the file system where LAKEWARD_HOME is."
)
"""To see free bytes as a share."""

DAGSTER_UP: Final = Definition(
    "lakeward_lake_dagster_up",
    "gauge",
    ("part",),
    "1 when a part of Dagster is well, else 0: the page, and each daemon that it needs.",
)
"""Absent while LAKEWARD_DAGSTER_URL does not say where the page is."""

DEFINITIONS: Final = (
    READ_AT,
    READABLE,
    TABLE_ROWS,
    TABLE_BYTES,
    TABLE_CHANGED,
    BRONZE_NEWEST,
    GOLD_NEWEST,
    REVENUE,
    EVENTS,
    CONVERSIONS,
    VISITS,
    ANOMALIES,
    FAILED_RULES,
    DISK_FREE,
    DISK_SIZE,
    DAGSTER_UP,
)
"""All of them, in the order of the reference page."""
