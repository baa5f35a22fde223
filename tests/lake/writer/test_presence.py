"""A drain beside an always-on writer on the embedded broker, which knows no group members."""

from __future__ import annotations

from pathlib import Path

from lake.writer.presence import is_present, present
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig


def test_a_writer_is_present_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    assert not is_present(tmp_path)
    with present(tmp_path):
        assert is_present(tmp_path)
        with present(tmp_path):
            assert is_present(tmp_path)
        assert is_present(tmp_path)
    assert not is_present(tmp_path)


def test_a_drain_beside_a_writer_waits_for_it_and_fences_nobody(
    embedded_kafka: KafkaForTest,
) -> None:
    rig = Rig.make(embedded_kafka, assignment="auto")
    with rig.writing() as running:
        rig.produce(100)
        rig.wait_for_rows(100)
        rig.produce(500, poison=3)
        assert rig.drain().messages == 0
        assert sum(rig.ids().values()) == 600
        assert running.end().fenced == 0
    rig.assert_exactly_once()


def test_a_drain_without_a_writer_reads_the_topics_itself(embedded_kafka: KafkaForTest) -> None:
    rig = Rig.make(embedded_kafka, assignment="auto")
    rig.produce(100)
    assert rig.drain().messages == 100
    rig.assert_exactly_once()
