"""Are the tables fresh? When they were written, and, apart from that, what their newest events are.

The two differ: a backfill of an old day writes a table and makes it no fresher, and a producer
that died leaves a table that is written every hour and holds nothing new.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    FreshnessPolicy,
    MetadataValue,
    multi_asset_check,
)
from deltalake import DeltaTable

from lake.tables import Lake
from orchestration.keys import table_key
from orchestration.translator import layer_of

CHECK = "newest_event_date"
DATE_SUFFIX = "_date"


def written_within(hours: float) -> FreshnessPolicy:
    """Return the policy on when a table was last written: a warning at half the time."""
    return FreshnessPolicy.time_window(
        fail_window=timedelta(hours=hours), warn_window=timedelta(hours=hours / 2)
    )


def event_date_columns(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return gold's tables that are partitioned by an event date, each with that column.

    A model whose newest date says nothing of freshness, such as the day of arrival, has
    ``meta.is_about_days: false``.
    """
    found = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and layer_of(node) == "gold":
            if not (node["config"].get("meta") or {}).get("is_about_days", True):
                continue
            for column in node["config"].get("partition_by") or []:
                if column.endswith(DATE_SUFFIX):
                    found[str(node["alias"])] = str(column)
    return dict(sorted(found.items()))


def newest_event_date(table: DeltaTable, column: str, today: date) -> date | None:
    """Return the newest date of a partition column that is not after ``today``.

    Read from the log alone. A date in the future is a wrong clock and says nothing of freshness.
    """
    files = pa.table(table.get_add_actions(flatten=True))
    values = files[f"partition.{column}"].to_pylist() if files.num_rows else []
    dates = [v if isinstance(v, date) else date.fromisoformat(v) for v in values if v is not None]
    return max((d for d in dates if d <= today), default=None)


def freshness_checks(
    columns: Mapping[str, str],
    lake: Lake,
    hours: float,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AssetChecksDefinition:
    """Return the checks of gold's newest event dates (table -> column)."""

    @multi_asset_check(
        name="gold_freshness",
        specs=[
            AssetCheckSpec(
                CHECK,
                asset=table_key("gold", table),
                description=f"The newest {column} is that of {hours:g} hours ago or later.",
            )
            for table, column in columns.items()
        ],
        can_subset=True,
    )
    def checks(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        moment = now()
        for key in sorted(check.asset_key for check in context.selected_asset_check_keys):
            table = key.path[-1]
            newest = None
            if lake.exists("gold", table):
                newest = newest_event_date(lake.open("gold", table), columns[table], moment.date())
            yield freshness_result(key, newest, moment, hours)

    return checks


def freshness_result(
    key: AssetKey, newest: date | None, now: datetime, hours: float
) -> AssetCheckResult:
    """Return whether a table whose newest event date is ``newest`` is fresh at ``now`` (UTC)."""
    oldest = (now - timedelta(hours=hours)).date()
    is_fresh = newest is not None and newest >= oldest
    return AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=is_fresh,
        severity=AssetCheckSeverity.WARN,
        description=(
            "there are no events yet"
            if newest is None
            else f"the newest events are of {newest}, expected {oldest} or later"
        ),
        metadata={} if newest is None else {"newest event date": MetadataValue.text(str(newest))},
    )
