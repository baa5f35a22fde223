"""Building some event dates anew, as partitions that Dagster can launch and remember.

Silver and gold themselves are not partitioned in Dagster: an increment follows Delta versions and
touches whatever dates its events have. Their days are rebuilt through this asset, any number of
days in a row by one run. It tells the rebuilt tables by observations, not materializations: to
build an old day again makes no table fresher.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, date, timedelta
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetObservation,
    AssetsDefinition,
    BackfillPolicy,
    BetaWarning,
    DailyPartitionsDefinition,
    MaterializeResult,
    MetadataValue,
    asset,
)

from lake.dbt_run import backfill_args
from lake.tables import Lake, Layer
from orchestration.keys import table_key
from orchestration.models import (
    MODEL_LAYERS,
    POOL,
    DbtCommand,
    follow,
    raise_failures,
)
from orchestration.retries import BUILD_RETRIES
from orchestration.settings import OrchestrationSettings
from orchestration.table_metadata import table_facts, table_metadata

KEY = AssetKey(["backfill", "rebuilt_event_dates"])
GROUP = "backfill"


def event_dates(settings: OrchestrationSettings) -> DailyPartitionsDefinition:
    """Return the UTC days that may be rebuilt: from the first of history up to today."""
    return DailyPartitionsDefinition(
        start_date=settings.history_start.isoformat(), timezone="UTC", end_offset=1
    )


def dates_of(context: AssetExecutionContext) -> tuple[date, date]:
    """Return the first and last event date that a run was asked for, both inclusive.

    From its partitions alone, so that a retry days later rebuilds the same days.
    """
    window = context.partition_time_window
    first = window.start.astimezone(UTC).date()
    return first, window.end.astimezone(UTC).date() - timedelta(days=1)


def backfill_asset(
    deps: Sequence[AssetKey], settings: OrchestrationSettings, dbt: DbtCommand
) -> AssetsDefinition:
    """Return the asset whose partitions are rebuilt days."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # backfill_policy
        declare = asset(
            key=KEY,
            group_name=GROUP,
            deps=list(deps),
            partitions_def=event_dates(settings),
            backfill_policy=BackfillPolicy.single_run(),
            retry_policy=BUILD_RETRIES,
            pool=POOL,
            kinds={"dbt"},
            description="Event dates whose silver and gold rows were computed again from bronze. "
            "Other dates are left as they are, and rebuilding a date twice changes nothing.",
        )

    @declare
    def rebuilt_event_dates(context: AssetExecutionContext) -> MaterializeResult[None]:
        first, last = dates_of(context)
        context.log.info(f"rebuilding {first} to {last}")
        result = follow(context, dbt.stream(["run", *backfill_args(first, last)]))
        lake = Lake(dbt.settings.root)
        written = {}
        for node in result.models():
            if node.is_good:
                written[node.label] = node.rows or 0
                context.log_event(_observation(lake, node.label, first, last))
        raise_failures(result)
        return MaterializeResult(
            metadata={
                "first date": MetadataValue.text(str(first)),
                "last date": MetadataValue.text(str(last)),
                "rows written": MetadataValue.json(written),
            }
        )

    return rebuilt_event_dates


def _observation(lake: Lake, label: str, first: date, last: date) -> AssetObservation:
    layer, _, table = label.partition(".")
    known: Mapping[str, Layer] = {name: name for name in MODEL_LAYERS}
    metadata: dict[str, Any] = table_metadata(lake, table_facts(lake, known[layer], table))
    metadata["rebuilt event dates"] = MetadataValue.text(f"{first} to {last}")
    return AssetObservation(asset_key=table_key(known[layer], table), metadata=metadata)
