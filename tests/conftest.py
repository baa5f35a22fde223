"""Fixtures for every test: a clean environment, Kafka of two kinds, other servers, an object store.

Tests that take ``kafka`` run twice, on the embedded broker and on Apache Kafka. Three variables
steer the second kind:

- ``LAKEWARD_TEST_KAFKA=host:port`` uses a broker that runs already, instead of starting one.
- ``LAKEWARD_REQUIRE_APACHE_KAFKA=1`` makes its absence a failure; otherwise those tests are skipped
  and pytest's summary says in one line what is missing and how to get it.
- ``LAKEWARD_CACHE`` is where the jars from Maven Central are kept (default ~/.cache/lakeward).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest

from ingest.broker import EmbeddedBroker
from ingest.errors import BrokerError
from ingest.kafka import check_reachable
from ingest.settings import IngestSettings
from lake.tables import Lake
from tests.databases.postgres import Postgres, PostgresUnavailableError
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.distribution import KafkaUnavailableError
from tests.kafka_servers.topics import KafkaForTest
from tests.object_stores.seaweed import SeaweedFs

FOR_TESTS = {"LAKEWARD_TEST_KAFKA", "LAKEWARD_CACHE"}

KafkaKind = Literal["embedded", "apache"]

LONGEST_FIRST = (
    "tests/lake/writer/test_model.py",
    "tests/serving/superset/test_superset.py",
    "tests/chaos/test_chaos.py",
    "tests/orchestration/test_pipeline.py",
    "tests/serving/test_publish.py",
    "tests/lake/maintenance/test_models.py",
    "tests/end_to_end/test_real_data.py",
    "tests/orchestration/stack/test_up.py",
    "tests/dbt/test_increments.py",
    "tests/orchestration/stack/test_browser.py",
    "tests/compose/test_stack.py",
    "tests/dbt/test_plain_dbt.py",
    "tests/lake/writer/test_kill.py",
    "tests/dbt/test_increments_equal_refresh.py",
    "tests/dbt/test_at_the_same_time.py",
    "tests/end_to_end/test_demo.py",
    "tests/dbt/test_backfill.py",
)
"""Files that take more than a minute; `.ci/run` prints the slowest tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, and the others in their order.

    A process takes a whole file (``--dist loadfile``). One that takes minutes and comes last, as
    ``tests/serving`` does by its name, would leave the other processes idle at the end.
    """
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests leaks into them."""
    for name in list(os.environ):
        if (
            name.startswith(("LAKEWARD_", "KAFKA_"))
            and not name.startswith("LAKEWARD_REQUIRE_")
            and name not in FOR_TESTS
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LAKEWARD_BUILD_NICENESS", "0")  # it would hold for the tests after it


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded broker that all tests share."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded")) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def apache_or_skip() -> Callable[..., ApacheKafka]:
    """Makes an ``ApacheKafka``; where it cannot run, skips or fails with the one-line reason."""

    def make(folder: Path, **options: Any) -> ApacheKafka:
        try:
            return ApacheKafka(folder, **options)
        except KafkaUnavailableError as error:
            reason = f"tests on Apache Kafka are left out: {error}"
        if os.environ.get("LAKEWARD_REQUIRE_APACHE_KAFKA", "0") not in ("", "0"):
            pytest.fail(f"LAKEWARD_REQUIRE_APACHE_KAFKA is set, but {reason}", pytrace=False)
        pytest.skip(reason)

    return make


@pytest.fixture(scope="session")
def apache_server(
    tmp_path_factory: pytest.TempPathFactory, apache_or_skip: Callable[..., ApacheKafka]
) -> Iterator[str]:
    """The address of an Apache Kafka that all tests share."""
    external = os.environ.get("LAKEWARD_TEST_KAFKA")
    if external:
        try:
            check_reachable(IngestSettings(_env_file=None, bootstrap_servers=external))
        except BrokerError as error:
            pytest.fail(f"LAKEWARD_TEST_KAFKA={external}: {error}", pytrace=False)
        yield external
        return
    with apache_or_skip(tmp_path_factory.mktemp("apache")) as server:
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that all tests share; who stops it starts it again."""
    try:
        server = Postgres()
    except PostgresUnavailableError as error:
        reason = f"tests on PostgreSQL are left out: {error}"
        if os.environ.get("LAKEWARD_REQUIRE_POSTGRES", "0") not in ("", "0"):
            pytest.fail(f"LAKEWARD_REQUIRE_POSTGRES is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    with server:
        yield server


@pytest.fixture(scope="session")
def prometheus() -> None:
    """Skips, or fails, where Prometheus and promtool are not installed."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    reason = (
        "tests of Prometheus are left out: it is not installed (Debian: apt-get install prometheus)"
    )
    if os.environ.get("LAKEWARD_REQUIRE_PROMETHEUS", "0") not in ("", "0"):
        pytest.fail(f"LAKEWARD_REQUIRE_PROMETHEUS is set, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(params=["embedded", "apache"])
def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> KafkaForTest:
    """A broker for one test body that runs on both kinds."""
    address = request.getfixturevalue(f"{request.param}_server")
    return kafka_for_test(request.param, address, tmp_path)


@pytest.fixture
def embedded_kafka(embedded_server: str, tmp_path: Path) -> KafkaForTest:
    """The shared embedded broker, for tests where the kind of broker makes no difference."""
    return kafka_for_test("embedded", embedded_server, tmp_path)


@pytest.fixture
def apache_kafka(apache_server: str, tmp_path: Path) -> KafkaForTest:
    """The shared Apache Kafka, for what only it can do: transactions, compaction, DeleteRecords."""
    return kafka_for_test("apache", apache_server, tmp_path)


@pytest.fixture
def make_apache_kafka(
    tmp_path: Path, apache_or_skip: Callable[..., ApacheKafka]
) -> Iterator[Callable[..., ApacheKafka]]:
    """Start Apache Kafkas of the test's own; takes what ``ApacheKafka`` takes after the folder."""
    with ExitStack() as servers:
        numbers = count(1)

        def make(**options: object) -> ApacheKafka:
            folder = tmp_path / f"own-kafka-{next(numbers)}"
            return servers.enter_context(apache_or_skip(folder, **options))

        yield make


@pytest.fixture
def own_apache_kafka(make_apache_kafka: Callable[..., ApacheKafka]) -> ApacheKafka:
    """An Apache Kafka that the test may kill, stop, start and restart."""
    return make_apache_kafka()


@pytest.fixture
def object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeaweedFs]:
    """An S3 server of the test's own, which it may kill; its address is in the environment."""
    with SeaweedFs(tmp_path / "object-store") as store:
        _point_at(store, monkeypatch)
        yield store


@pytest.fixture(scope="module")
def shared_object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFs]:
    """An S3 server that the tests of a module share; its address is in the environment."""
    with (
        SeaweedFs(tmp_path_factory.mktemp("object-store")) as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        _point_at(store, patch)
        yield store


@pytest.fixture(scope="module", params=["disk", "s3"])
def make_lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Lake]:
    """Makes empty lakes, for a test body that runs on a disk and on an object store."""
    if request.param == "disk":
        return lambda: Lake(str(tmp_path_factory.mktemp("lake") / "lake"))
    store: SeaweedFs = request.getfixturevalue("shared_object_store")
    return lambda: Lake(f"{store.root}/{uuid4().hex}")


def _point_at(store: SeaweedFs, patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in store.environment.items():
        patch.setenv(name, value)


def kafka_for_test(kind: KafkaKind, address: str, tmp_path: Path) -> KafkaForTest:
    """Return the handle on a running broker, with a home of the test's own."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    settings = IngestSettings(_env_file=None, home=home, bootstrap_servers=address)
    return KafkaForTest(kind, settings, address)
