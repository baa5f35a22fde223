"""``lakeward audit --deep`` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.kafka_servers.topics import KafkaForTest
from tests.lake.test_deep_audit import alter
from tests.lake.writer.rig import Rig


@pytest.fixture
def rig(embedded_kafka: KafkaForTest) -> Rig:
    made = Rig.make(embedded_kafka, partitions=1)
    made.produce(20, poison=2)
    made.drain()
    return made


def deep(rig: Rig, *arguments: str) -> subprocess.CompletedProcess[str]:
    _, env = rig.command()
    return subprocess.run(
        [sys.executable, "-m", "lakeward", "audit", "--deep", *arguments],
        env={**os.environ, **env, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_lake_that_is_what_kafka_has_ends_with_zero(rig: Rig) -> None:
    done = deep(rig)
    assert (done.returncode, done.stderr) == (0, "")
    assert "exactly once: 22 messages = 20 rows + 2 dead letters" in done.stdout
    assert "equal: 22 of 22 messages compared" in done.stdout


def test_a_difference_is_named_and_ends_with_one(rig: Rig) -> None:
    alter(rig, "visits", 5, tenant_id="other")
    done = deep(rig)
    assert done.returncode == 1
    assert "exactly once" in done.stdout, "the plain audit cannot see it"
    assert f"different visits {rig.topic}[0] offset 5 (contract 1.0.0): differs in tenant_id" in (
        done.stdout
    )
    assert "NOT equal: 1 differ, 0 missing, 21 equal" in done.stdout


def test_json_has_both_audits(rig: Rig) -> None:
    rig.lake.open("bronze", "visits").delete("_offset = 3")
    done = deep(rig, "--json", "--topic", rig.topic)
    assert done.returncode == 1
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["lost"] == 1
    found = document["deep"]
    assert (found["is_clean"], found["missing"], found["equal"]) == (False, 1, 21)
    assert found["partitions"][0]["missing_offsets"] == [3]


def test_without_kafka_it_says_what_to_do(rig: Rig) -> None:
    _, env = rig.command()
    done = subprocess.run(
        [sys.executable, "-m", "lakeward", "audit", "--deep"],
        env={**os.environ, **env, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:1" in done.stderr
