"""A home of its own with an embedded broker, some events in it, and the definitions for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer
from dagster import AssetKey, DagsterInstance, Definitions, ExecuteInProcessResult

from ingest.broker import EmbeddedBroker
from ingest.contracts.registry import load_contracts
from ingest.generator.backfill import Backfill
from ingest.generator.run import generate_events
from ingest.generator.sites import load_sites
from ingest.kafka import client_config, ensure_topics
from ingest.settings import IngestSettings
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.settings import OrchestrationSettings
from serving.settings import ServingSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # what sqlglot says as it is imported
    import dagster_dbt  # noqa: F401

from orchestration.wiring import wire

LAST_DAY = datetime(2025, 3, 5, tzinfo=UTC)
DAYS = 4


@dataclass(frozen=True)
class Home:
    """One home: its settings, its lake, its definitions."""

    path: Path
    defs: Definitions

    @property
    def lake(self) -> Lake:
        return Lake(LakeSettings(_env_file=None, home=self.path).root)

    @property
    def ingest(self) -> IngestSettings:
        return IngestSettings(_env_file=None, home=self.path)

    def run(
        self, job: str, instance: DagsterInstance, *, raise_on_error: bool = True
    ) -> ExecuteInProcessResult:
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=raise_on_error
        )


def make_home(
    path: Path, serving: ServingSettings | None = None, broker: str | None = None
) -> Home:
    """Return the definitions of a home, from its settings alone."""
    return Home(
        path,
        wire(
            IngestSettings(_env_file=None, home=path, bootstrap_servers=broker),
            LakeSettings(_env_file=None, home=path),
            OrchestrationSettings(_env_file=None, home=path),
            serving or ServingSettings(_env_file=None),
        ),
    )


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home without a broker and without data."""
    return make_home(tmp_path_factory.mktemp("empty") / "home")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a broker and the events of some days in it; nothing is in the lake yet."""
    path = tmp_path_factory.mktemp("lakeward") / "home"
    with EmbeddedBroker(path):
        home = make_home(path)
        send_events(home.ingest, 600, LAST_DAY + timedelta(days=1), timedelta(days=DAYS), seed=7)
        yield home


def send_events(
    settings: IngestSettings, count: int, end: datetime, span: timedelta, *, seed: int
) -> int:
    """Put made-up events into the topics; return how many."""
    contracts = load_contracts(None)
    ensure_topics(settings, contracts)
    producer = Producer({**client_config(settings), "linger.ms": 5})
    plan = Backfill(end - span, end, count, tuple(contracts), load_sites(), seed)
    sent = 0
    for name, key, value, at in generate_events(plan):
        topic = contracts.by_name(name).topic
        producer.produce(topic, key=key, value=value, timestamp=at)
        producer.poll(0)
        sent += 1
    assert producer.flush(30) == 0
    return sent


def materialized(result: ExecuteInProcessResult) -> dict[str, AssetKey]:
    """Return the assets that a run materialized, by name."""
    keys = [event.asset_key for event in result.get_asset_materialization_events()]
    return {key.to_user_string(): key for key in keys if key is not None}
