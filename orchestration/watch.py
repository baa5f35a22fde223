"""The sensor on bronze: it reports what the always-on writer did, and asks for builds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterRunStatus,
    DefaultSensorStatus,
    MetadataValue,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from ingest.contracts.registry import ContractSet
from lake.tables import DEAD_LETTERS, Lake
from orchestration.jobs import BUILD_JOB
from orchestration.keys import table_key
from orchestration.progress import Progress, progress
from orchestration.settings import OrchestrationSettings
from orchestration.table_metadata import table_facts, table_metadata

SENSOR = "bronze_versions"
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the sensor remembers from one look to the next."""

    versions: Mapping[str, int] = field(default_factory=dict)
    """The last version seen of each bronze table."""
    asked_at: float | None = None
    """When a build was last asked for, in seconds since 1970."""
    waiting: bool = False
    """Rows have come for which no build was asked yet."""

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read what ``text()`` wrote; nothing, or what another release wrote, is a new cursor."""
        try:
            document = json.loads(text or "{}")
            versions = {str(k): int(v) for k, v in document.get("versions", {}).items()}
            asked_at = document.get("asked_at")
            return cls(
                versions,
                None if asked_at is None else float(asked_at),
                bool(document.get("waiting")),
            )
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """Return it as Dagster keeps it."""
        return json.dumps(
            {"versions": dict(self.versions), "asked_at": self.asked_at, "waiting": self.waiting}
        )

    def after(self, moved: list[Progress]) -> Cursor:
        """Return the cursor that has seen ``moved``."""
        return replace(
            self,
            versions={**self.versions, **{p.table: p.version for p in moved}},
            waiting=self.waiting or any(p.has_new_rows for p in moved),
        )

    def seconds_to_wait(self, now: float, interval: float) -> float:
        """Return how long the next build must still wait; 0 when it may be asked for."""
        if self.asked_at is None or now < self.asked_at:  # the clock was turned back
            return 0.0
        return max(0.0, self.asked_at + interval - now)


def bronze_sensor(
    contracts: ContractSet,
    lake: Lake,
    settings: OrchestrationSettings,
    *,
    now: Callable[[], float] = time.time,
) -> SensorDefinition:
    """Return the sensor.

    Each look reports every bronze table that moved: a materialization when rows came, an
    observation when not. Then it asks for one build, unless one was asked for less than
    ``build_seconds`` ago or is still under way; what came meanwhile is not forgotten.
    """
    tables = (*contracts.names(), DEAD_LETTERS)

    @sensor(
        name=SENSOR,
        job_name=BUILD_JOB,
        minimum_interval_seconds=settings.watch_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Reports what the writer committed to bronze, and starts a build.",
    )
    def bronze_versions(context: SensorEvaluationContext) -> SensorResult:
        cursor = Cursor.parse(context.cursor)
        moved = progress(lake, tables, cursor.versions)
        cursor = cursor.after(moved)
        reason = _why_not_now(context, cursor, now(), settings.build_seconds)
        requests = []
        if reason is None:
            requests.append(RunRequest(tags={"lakeward/cause": SENSOR}))
            cursor = replace(cursor, asked_at=now(), waiting=False)
        return SensorResult(
            run_requests=requests,
            skip_reason=None if reason is None else SkipReason(reason),
            cursor=cursor.text(),
            asset_events=[_event(lake, p) for p in moved],
        )

    return bronze_versions


def _why_not_now(
    context: SensorEvaluationContext, cursor: Cursor, now: float, interval: float
) -> str | None:
    if not cursor.waiting:
        return "no new rows in bronze"
    left = cursor.seconds_to_wait(now, interval)
    if left > 0:
        return f"new rows wait {left:.0f} s more: builds are at least {interval:.0f} s apart"
    busy = context.instance.get_runs(
        filters=RunsFilter(job_name=BUILD_JOB, statuses=UNFINISHED), limit=1
    )
    if busy:
        return f"new rows wait for the build that is under way (run {busy[0].run_id[:8]})"
    return None


def _event(lake: Lake, moved: Progress) -> AssetMaterialization | AssetObservation:
    metadata = table_metadata(lake, table_facts(lake, "bronze", moved.table))
    metadata["commits since last look"] = MetadataValue.int(moved.commits)
    if moved.rows is not None:
        metadata["rows since last look"] = MetadataValue.int(moved.rows)
    key = table_key("bronze", moved.table)
    if moved.has_new_rows:
        return AssetMaterialization(asset_key=key, metadata=metadata)
    return AssetObservation(asset_key=key, metadata=metadata)
