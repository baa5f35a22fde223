"""The sensor that brings topics up to gold: after a build that went well, and until Kafka takes it.

It is apart from the build, because Kafka may be away while gold is built from what is in bronze:
then the build is good, and only the topics are behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from orchestration.jobs import PUBLISH_JOB
from orchestration.keys import published_key, table_key
from orchestration.settings import OrchestrationSettings
from orchestration.table_metadata import VERSION
from orchestration.watch import UNFINISHED
from serving.mart import LAYER
from serving.publish.target import Target

SENSOR = "published_topics"
FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 600.0
FAILURES_READ = 10
"""So many in a row lead to the longest pause."""


@dataclass(frozen=True, slots=True)
class Written:
    """The last time that an asset was brought up to date."""

    at: float
    """Seconds since 1970."""
    version: int | None
    """The Delta version of the table; None when that is not known."""
    run_id: str


def publish_sensor(
    targets: Sequence[Target],
    settings: OrchestrationSettings,
    *,
    now: Callable[[], float] = time.time,
) -> SensorDefinition:
    """Return the sensor.

    It asks for the topics whose table was built anew by a run that went well. After a failure it
    waits 30 s, then twice as long each time, up to 10 minutes.
    """

    @sensor(
        name=SENSOR,
        job_name=PUBLISH_JOB,
        minimum_interval_seconds=settings.watch_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Publishes what builds changed, and tries again while Kafka is away.",
    )
    def published_topics(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        behind = [target for target in targets if is_behind(context.instance, target)]
        if not behind:
            return SkipReason("the topics hold what was last built well")
        reason = _why_not_now(context.instance, now())
        if reason is not None:
            return SkipReason(reason)
        return RunRequest(asset_selection=[published_key(target.topic) for target in behind])

    return published_topics


def is_behind(instance: DagsterInstance, target: Target) -> bool:
    """Was the table built well since its topic was last brought up to it, and changed by that?"""
    table = table_key(LAYER, target.mart.name)
    built, sent = last_written(instance, table), last_written(instance, published_key(target.topic))
    if built is None or why_not_good(instance, table) is not None:
        return False
    return sent is None or (built.at > sent.at and built.version != sent.version)


def why_not_good(instance: DagsterInstance, table: AssetKey, run_id: str = "") -> str | None:
    """Return why a table must not be shown to others; None when nothing speaks against it.

    A build that fails may have written a table whose checks do not hold, or were not made.

    Args:
        instance: where the runs are.
        table: the asset.
        run_id: the run that asks: what it has built itself it may show.
    """
    built = last_written(instance, table)
    run = None if built is None or built.run_id == run_id else instance.get_run_by_id(built.run_id)
    if run is None or run.status == DagsterRunStatus.SUCCESS:
        return None
    what = "is under way" if run.status in UNFINISHED else "did not go well"
    return f"the run that built {table.to_user_string()} last {what} (run {run.run_id[:8]})"


def last_written(instance: DagsterInstance, key: AssetKey) -> Written | None:
    """Return when an asset was last materialized, by which run, at which version."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    told: Any = event.asset_materialization.metadata.get(VERSION)
    return Written(event.timestamp, None if told is None else int(told.value), event.run_id)


def _why_not_now(instance: DagsterInstance, now: float) -> str | None:
    runs = instance.get_run_records(RunsFilter(job_name=PUBLISH_JOB), limit=FAILURES_READ)
    if runs and runs[0].dagster_run.status in UNFINISHED:
        return f"it is under way (run {runs[0].dagster_run.run_id[:8]})"
    failed = list(takewhile(lambda one: one.dagster_run.status == DagsterRunStatus.FAILURE, runs))
    if not failed:
        return None
    pause = min(FIRST_PAUSE_S * 2 ** (len(failed) - 1), LONGEST_PAUSE_S)
    left = (failed[0].end_time or now) + pause - now
    if left <= 0:
        return None
    times = "once" if len(failed) == 1 else f"{len(failed)} times in a row"
    return f"it failed {times}; it is tried again in {left:.0f} s"
