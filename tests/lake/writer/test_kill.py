"""``kill -9`` at random moments: nothing lost, nothing twice."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig

KILLS = {"apache": 20, "embedded": 8}
"""The embedded broker is for trying things out; there fewer do."""
SEED = 20_260_101
PARTITIONS = 3


def test_a_writer_killed_at_random_moments_loses_and_doubles_nothing(
    kafka: KafkaForTest, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    rig = Rig.make(kafka, PARTITIONS, assignment="static", flush_seconds=0.02)
    ended = threading.Event()
    failures: list[BaseException] = []

    def produce() -> None:
        try:
            while not ended.is_set():
                rig.produce(100, poison=2)
                time.sleep(0.02)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    producer = threading.Thread(target=produce)
    producer.start()
    log = tmp_path / "writer.log"
    flushes = 0
    try:
        for kill in range(KILLS[kafka.kind]):
            with rig.process(log) as writer:
                # at any point of its life: from its first steps to the middle of its commits
                writer.wait_for("partition_begins", PARTITIONS * (kill + 1))
                flushes += chance.randint(0, 4)
                writer.wait_for("flushed", flushes)
                time.sleep(chance.uniform(0, 0.1))
                writer.signal(signal.SIGKILL)
                assert writer.child.wait() == -signal.SIGKILL
                flushes = sum(line["event"] == "flushed" for line in writer.events())
    finally:
        ended.set()
        producer.join()
    assert failures == []
    assert flushes > KILLS[kafka.kind], "the writer was killed before it did anything"
    rig.drain()
    rig.assert_exactly_once()


def test_a_writer_that_is_asked_to_stop_finishes_its_buffer(
    kafka: KafkaForTest, tmp_path: Path
) -> None:
    rig = Rig.make(kafka, assignment="static", flush_seconds=3600)
    rig.produce(500, poison=5)
    with rig.process(tmp_path / "writer.log") as writer:
        writer.wait_until_buffered(505)
        assert rig.ids() == {}
        writer.stop()
        assert writer.events()[-1]["event"] == "finished"
    rig.assert_exactly_once()
