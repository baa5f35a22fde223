"""Topics follow the tables of gold: after builds that went well, and as soon as Kafka takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    MaterializeResult,
    RetryPolicy,
    RunRequest,
    SkipReason,
    asset,
    asset_check,
    build_sensor_context,
    define_asset_job,
)

from ingest.settings import IngestSettings
from lake.tables import Lake
from orchestration.alert_sensors import step_error
from orchestration.jobs import PUBLISH_JOB
from orchestration.keys import PUBLISHED, published_key, table_key
from orchestration.publish import published_assets
from orchestration.publish_sensor import FIRST_PAUSE_S, publish_sensor
from orchestration.settings import OrchestrationSettings
from orchestration.table_metadata import VERSION
from serving.publish.target import Target
from tests.kafka_servers.topics import KafkaForTest
from tests.serving.published import MART, Table, committed, rebuilt

DAY = date(2026, 3, 1)
AWAY = "127.0.0.1:1"
NOTHING_TO_DO = "the topics hold what was last built well"


class Stage:
    """A table of gold, a topic for it, and a Dagster that knows both."""

    def __init__(self, folder: Path, kafka: KafkaForTest, instance: DagsterInstance) -> None:
        self.kafka, self.instance = kafka, instance
        self.table = Table(Lake(str(folder / "lake")))
        self.target = Target(MART, kafka.unique("results"))
        self.severity: AssetCheckSeverity | None = None
        """Of a check on the table that does not hold; None: it holds."""

    def run(self, job: str, broker: str | None = None) -> ExecuteInProcessResult:
        table = table_key("gold", MART.name)

        @asset(key=table)
        def build() -> MaterializeResult[None]:
            return MaterializeResult(metadata={VERSION: self.table.open().version()})

        @asset_check(asset=table, blocking=True)
        def expectations() -> AssetCheckResult:
            wrong = self.severity
            return AssetCheckResult(passed=not wrong, severity=wrong or AssetCheckSeverity.WARN)

        ingest = self.kafka.settings
        if broker is not None:
            ingest = IngestSettings(_env_file=None, home=ingest.home, bootstrap_servers=broker)
        positions = f"{self.target.topic}.at"
        published = published_assets([self.target], positions, ingest, self.table.lake)
        defs = Definitions(
            assets=[build, *published],
            asset_checks=[expectations],
            jobs=[
                define_asset_job("build", AssetSelection.groups("default")),
                define_asset_job(PUBLISH_JOB, AssetSelection.groups(PUBLISHED)),
            ],
        )
        resolved = defs.resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=False)

    def build(self, rows: int, severity: AssetCheckSeverity | None = None) -> None:
        """Write the table anew, and let Dagster know; a check of this severity does not hold."""
        self.table.overwrite("acme", DAY, self.table.fill("acme", DAY, rows))
        self.severity = severity
        assert self.run("build").success is (severity != AssetCheckSeverity.ERROR)

    def asked_for(self, after_s: float = 0) -> list[AssetKey] | str:
        """Return what the sensor asks for, or why it asks for nothing, when it looks then."""
        now: Callable[[], float] = lambda: time.time() + after_s  # noqa: E731
        sensor = publish_sensor([self.target], OrchestrationSettings(_env_file=None), now=now)
        answer = sensor(build_sensor_context(self.instance))
        if isinstance(answer, SkipReason):
            return str(answer.skip_message)
        assert isinstance(answer, RunRequest)
        return list(answer.asset_selection or ())


@pytest.fixture
def stage(
    tmp_path: Path, embedded_kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    monkeypatch.setattr("orchestration.publish.BROKER_RETRIES", RetryPolicy(max_retries=1))
    with DagsterInstance.ephemeral() as instance:
        yield Stage(tmp_path, embedded_kafka, instance)


def told(failed: ExecuteInProcessResult) -> str:
    """Return what an alert would say of a failed run."""
    assert not failed.success
    [event] = failed.get_step_failure_events()
    return step_error(event.step_failure_data.error_display_string)


def test_a_topic_is_tried_again_with_growing_pauses_until_kafka_takes_it(stage: Stage) -> None:
    topic = [published_key(stage.target.topic)]
    assert stage.asked_for() == NOTHING_TO_DO, "nothing was built"
    stage.build(5)
    assert stage.asked_for() == topic
    for times, pause in ((1, FIRST_PAUSE_S), (2, 2 * FIRST_PAUSE_S)):
        said = told(stage.run(PUBLISH_JOB, AWAY))
        assert f"cannot reach Kafka at {AWAY}" in said
        assert f"{MART.label} is built; only the topic {stage.target.topic} is behind" in said
        assert f"it failed {'once' if times == 1 else '2 times in a row'}" in stage.asked_for()
        assert "it is tried again in" in stage.asked_for(pause - 10)
        assert stage.asked_for(pause + 1) == topic
    assert stage.run(PUBLISH_JOB).success
    assert rebuilt(committed(stage.kafka, stage.target.topic)) == stage.table.rows()
    assert stage.asked_for() == NOTHING_TO_DO


def test_a_build_that_changes_nothing_or_only_warns_of_something(stage: Stage) -> None:
    stage.build(5)
    stage.table.open().optimize.compact()  # a version that is published, and that no build made
    assert stage.run(PUBLISH_JOB).success
    assert stage.asked_for() == NOTHING_TO_DO
    assert stage.run("build").success
    assert stage.asked_for() == NOTHING_TO_DO
    stage.build(3, AssetCheckSeverity.WARN)
    assert stage.asked_for() == [published_key(stage.target.topic)]


def test_what_a_failed_build_wrote_is_not_published(stage: Stage) -> None:
    stage.build(5)
    stage.build(3, AssetCheckSeverity.ERROR)
    assert stage.asked_for() == NOTHING_TO_DO
    assert "the run that built gold/fct_spend last did not go well" in told(stage.run(PUBLISH_JOB))
    assert stage.target.topic not in stage.kafka.admin.list_topics(timeout=30).topics
    stage.build(3)
    assert stage.run(PUBLISH_JOB).success
