"""``lakeward write`` says in one message what is wrong and what to do; nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig

UNREACHABLE = "127.0.0.1:1"


def lakeward(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakeward", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def write(rig: Rig, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command, env = rig.command("--until-current", *arguments, **environment)
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    for word in words:
        assert word in done.stderr


def test_a_drain_says_what_it_did(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka)
    rig.produce(30, poison=2)
    done = write(rig, "--log-format", "text")
    assert done.returncode == 0, done.stderr
    assert "32 messages" in done.stderr
    assert "30 rows, 2 dead letters (not_json 2)" in done.stderr
    rig.assert_exactly_once()


def test_no_broker_at_all(tmp_path: Path) -> None:
    done = lakeward("write", LAKEWARD_HOME=str(tmp_path))
    assert_refused(done, "no broker", "lakeward broker", "KAFKA_BOOTSTRAP_SERVERS")


def test_an_unreachable_broker(tmp_path: Path) -> None:
    done = lakeward("write", LAKEWARD_HOME=str(tmp_path), KAFKA_BOOTSTRAP_SERVERS=UNREACHABLE)
    assert_refused(done, UNREACHABLE)


def test_an_unknown_contract_and_topic(tmp_path: Path) -> None:
    done = lakeward("write", "--contracts", "clickstreem", LAKEWARD_HOME=str(tmp_path))
    assert_refused(done, "clickstreem", "did you mean clickstream?")
    done = lakeward("write", "--topics", "nothing-like-it", LAKEWARD_HOME=str(tmp_path))
    assert_refused(done, "nothing-like-it")


def test_a_topic_that_the_cluster_does_not_have(apache_kafka: KafkaForTest) -> None:
    rig = Rig.make(apache_kafka)
    apache_kafka.delete_topic(rig.topic)
    assert_refused(write(rig), rig.topic, "--create-topics")
    assert not Path(rig.settings.root, "bronze").exists()


def test_a_lake_that_cannot_be_written(embedded_kafka: KafkaForTest, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("")
    rig = Rig.make(embedded_kafka)
    root = str(tmp_path / "occupied" / "lake")
    assert_refused(write(rig, LAKEWARD_LAKE_ROOT=root), root, "LAKEWARD_LAKE_ROOT")


def test_a_table_of_someone_else_in_the_way(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka)
    uri = rig.lake.uri("bronze", "visits")
    write_deltalake(uri, pa.table({"mine": [1]}))
    assert_refused(write(rig), uri, "not made by lakeward")


def test_a_recreated_topic_is_named_with_both_numbers(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(10)
    assert write(rig).returncode == 0
    embedded_kafka.delete_topic(rig.topic)
    embedded_kafka.create_topic(rig.topic, 1)
    assert_refused(write(rig), "up to offset 9", "0 up to 0", "--accept-gap")
    assert write(rig, "--accept-gap").returncode == 0


def test_a_flood_of_dead_letters_names_the_reasons(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(5, poison=60)
    limit = {"LAKEWARD_DEAD_LETTER_WINDOW": "50"}
    assert_refused(write(rig, **limit), "dead letters", "not_json 60", "--force")
    assert rig.ids() == {}
    assert write(rig, "--force", **limit).returncode == 0
    rig.assert_exactly_once()


@pytest.fixture
def drained(embedded_kafka: KafkaForTest) -> Rig:
    rig = Rig.make(embedded_kafka, partitions=1)
    rig.produce(10, poison=1)
    rig.drain()
    return rig


def test_the_audit_of_a_whole_lake_ends_with_zero(drained: Rig) -> None:
    done = lakeward("audit", **drained.kafka.environment)
    assert done.returncode == 0, done.stderr
    assert "11 messages = 10 rows + 1 dead letters; 0 lost, 0 twice" in done.stdout
    assert f"{drained.topic}[0]" in done.stdout


def test_the_audit_of_a_lake_with_a_loss_ends_with_one(drained: Rig) -> None:
    import json

    drained.lake.open("bronze", "visits").delete("_offset = 4")
    done = lakeward("audit", **drained.kafka.environment)
    assert done.returncode == 1
    assert "NOT exactly once" in done.stdout
    assert "1 lost, 0 twice" in done.stdout
    done = lakeward("audit", "--json", "--topic", drained.topic, **drained.kafka.environment)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["is_clean"] is False
    assert [(f["kind"], f["count"], f["offsets"]) for f in document["findings"]] == [
        ("lost", 1, [4])
    ]


def test_the_audit_of_an_empty_lake_says_so(tmp_path: Path) -> None:
    assert_refused(lakeward("audit", LAKEWARD_HOME=str(tmp_path)), "nothing to audit")
