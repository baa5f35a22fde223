"""The sensor on bronze, over real small tables: what it reports and when it asks for a build."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import (
    AssetMaterialization,
    AssetObservation,
    DagsterInstance,
    DagsterRunStatus,
    SensorResult,
    build_sensor_context,
)
from deltalake import DeltaTable, write_deltalake

from ingest.contracts.registry import load_contracts
from lake.tables import Lake
from orchestration.settings import OrchestrationSettings
from orchestration.watch import Cursor, bronze_sensor

SCHEMA = pa.schema([("event_id", pa.string())])
INTERVAL = 100


@dataclass
class Watch:
    """A sensor, its clock, and the cursor that Dagster would keep for it."""

    lake: Lake
    instance: DagsterInstance
    settings: OrchestrationSettings
    now: float = 1_000_000.0
    cursor: str | None = None
    asked: list[float] = field(default_factory=list)

    def append(self, table: str, rows: int) -> None:
        data = pa.table({"event_id": [str(n) for n in range(rows)]}, schema=SCHEMA)
        write_deltalake(self.lake.uri("bronze", table), data, mode="append")

    def look(self) -> SensorResult:
        definition = bronze_sensor(
            load_contracts(None), self.lake, self.settings, now=lambda: self.now
        )
        context = build_sensor_context(self.instance, cursor=self.cursor)
        result = definition(context)
        assert isinstance(result, SensorResult)
        self.cursor = result.cursor
        self.asked += [self.now] * len(result.run_requests or [])
        return result


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    settings = OrchestrationSettings(_env_file=None, home=tmp_path, build_seconds=INTERVAL)
    with DagsterInstance.ephemeral() as instance:
        yield Watch(Lake(str(tmp_path / "lake")), instance, settings)


def events(result: SensorResult) -> list[AssetMaterialization | AssetObservation]:
    return [
        event
        for event in result.asset_events or []
        if isinstance(event, AssetMaterialization | AssetObservation)
    ]


def skipped(result: SensorResult) -> str:
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


def test_an_empty_lake_is_no_reason_to_build(watch: Watch) -> None:
    result = watch.look()
    assert skipped(result) == "no new rows in bronze"
    assert events(result) == []


def test_new_rows_are_reported_with_rows_and_version_and_built(watch: Watch) -> None:
    watch.append("clickstream", 3)
    watch.append("clickstream", 4)
    [event] = events(watch.look())
    assert isinstance(event, AssetMaterialization)
    assert event.asset_key.path == ["bronze", "clickstream"]
    told = {name: value.value for name, value in event.metadata.items()}
    assert told["dagster/row_count"] == 7
    assert told["rows since last look"] == 7
    assert told["Delta version"] == 1
    assert len(watch.asked) == 1


def test_nothing_new_is_nothing_reported_and_nothing_asked(watch: Watch) -> None:
    watch.append("clickstream", 3)
    watch.look()
    watch.now += 10 * INTERVAL
    result = watch.look()
    assert events(result) == []
    assert skipped(result) == "no new rows in bronze"
    assert len(watch.asked) == 1


def test_builds_are_a_minimum_interval_apart_and_no_rows_are_forgotten(watch: Watch) -> None:
    watch.append("clickstream", 3)
    watch.look()
    watch.append("clickstream", 3)
    watch.now += 60
    result = watch.look()
    assert len(events(result)) == 1
    assert skipped(result) == "new rows wait 40 s more: builds are at least 100 s apart"
    watch.now += 40
    result = watch.look()  # nothing came since, and yet the rows from before are still to be built
    assert events(result) == []
    assert watch.asked == [1_000_000.0, 1_000_100.0]


def test_compaction_is_observed_and_asks_for_no_build(watch: Watch) -> None:
    watch.append("clickstream", 3)
    watch.append("clickstream", 3)
    watch.look()
    watch.now += 10 * INTERVAL
    DeltaTable(watch.lake.uri("bronze", "clickstream")).optimize.compact()
    [event] = events(watch.look())
    assert isinstance(event, AssetObservation)
    assert len(watch.asked) == 1


def test_dead_letters_alone_are_a_reason_to_build(watch: Watch) -> None:
    watch.append("dead_letters", 2)
    [event] = events(watch.look())
    assert event.asset_key.path == ["bronze", "dead_letters"]
    assert len(watch.asked) == 1


def test_no_build_is_asked_for_while_one_is_under_way(watch: Watch) -> None:
    watch.append("clickstream", 3)
    run = watch.instance.create_run_for_job(_build_job(), status=DagsterRunStatus.STARTED)
    result = watch.look()
    assert skipped(result) == (
        f"new rows wait for the build that is under way (run {run.run_id[:8]})"
    )
    watch.instance.report_run_canceled(run)
    watch.look()
    assert len(watch.asked) == 1


def test_a_cursor_of_another_release_is_begun_anew() -> None:
    for text in (None, "", "not json", "[]", '{"versions": 3}'):
        assert Cursor.parse(text) == Cursor()
    known = Cursor({"clickstream": 0}, asked_at=0.0, waiting=True)
    assert Cursor.parse(known.text()) == known


def _build_job():  # type: ignore[no-untyped-def]
    from dagster import job

    @job(name="build")
    def build() -> None:
        pass

    return build
