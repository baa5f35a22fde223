"""Sixty faults on Apache Kafka, thirty with the lake on S3 and thirty with it on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.campaign import Campaign, Kept, Options
from benchmarks.chaos.faults import RIVAL, ZOMBIE
from benchmarks.chaos.table import table
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.cluster import ApacheCluster

FAULTS = 30
SEED = 60
PAUSE_S = 1.0


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, apache_or_skip: Callable[..., ApacheKafka]
) -> Iterator[ApacheCluster]:
    """A broker that is killed now and then."""
    folder = tmp_path_factory.mktemp("chaos-kafka")
    apache_or_skip(folder)
    with ApacheCluster(folder, 1) as cluster:
        yield cluster


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kept", ["s3", "disk"])
def test_whatever_breaks_each_acknowledged_message_is_in_the_lake_exactly_once(
    kept: Kept, broker: ApacheCluster, tmp_path: Path
) -> None:
    told: list[str] = []
    campaign = Campaign(Options(kept, FAULTS, SEED, PAUSE_S), broker, tmp_path, told.append)
    result = campaign.run()
    print(table([result]))  # noqa: T201 - what was seen, for whoever has to look into a failure
    verdict = result.verdict
    assert (verdict.lost, verdict.twice, verdict.strange) == ((), (), ())
    assert result.audit["findings"] == []
    assert result.is_exactly_once
    # and it was no walk in the park
    assert len(result.cases) == FAULTS
    assert {ZOMBIE, RIVAL, "writer killed", "broker killed"} <= {c.kind for c in result.cases}
    assert result.fences > 0
    assert verdict.acknowledged > 1000
