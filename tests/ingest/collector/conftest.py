"""A collector on a broker, and a tenant with a write key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from tests.ingest.collector.running import RunningCollector


def make_key(home: Path, tenant_id: str, **options: Any) -> str:
    """Make a tenant with one key; return the secret."""
    home.mkdir(parents=True, exist_ok=True)
    registry = open_registry(IngestSettings(_env_file=None, home=home))
    registry.create(tenant_id, who="test", **options)
    return registry.add_key(tenant_id, who="test").secret


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collector")


@pytest.fixture(scope="session")
def key(shared_home: Path) -> str:
    """A key of the tenant acme, which keeps addresses and user agents."""
    from ingest.tenants.model import Privacy, Quota

    return make_key(
        shared_home,
        "acme",
        privacy=Privacy(ip="keep", user_agent="keep"),
        quota=Quota(requests_per_second=10_000, burst=10_000),
    )


@pytest.fixture(scope="session")
def collector(shared_home: Path, key: str, embedded_server: str) -> Iterator[RunningCollector]:
    """A collector that tests share."""
    assert key
    with RunningCollector(shared_home, KAFKA_BOOTSTRAP_SERVERS=embedded_server) as running:
        yield running
        assert running.stop() == 0, running.said
