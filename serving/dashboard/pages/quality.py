"""The page of data quality: what arrived, in what condition, and what the checks found."""

from __future__ import annotations

from typing import Final

from serving.dashboard.mart import Mart
from serving.dashboard.measures import numbers, selected, share
from serving.dashboard.page import Options, Page
from serving.dashboard.panel import Column, Panel

_QUALITY: Final = Mart(
    "gold.rpt_data_quality_daily",
    {"date": "quality_date", "tenant": "tenant_id", "contract": "contract"},
)
_FRESHNESS: Final = Mart("gold.rpt_freshness", {"tenant": "tenant_id", "contract": "contract"})
_ANOMALIES: Final = Mart("gold.fct_anomalies", {"date": "anomaly_date", "tenant": "tenant_id"})
_CHECKS: Final = Mart("ops.expectation_results", {})

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
