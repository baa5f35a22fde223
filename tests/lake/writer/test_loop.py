"""The writer's loop on a simulated Kafka: what a broker can only do at the wrong moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.settings import IngestSettings
from lake.errors import OffsetGapError
from lake.settings import LakeSettings
from lake.tables import Lake
from tests.lake.writer.bench import CONTRACT, TOPIC, Bench
from tests.lake.writer.simulation.faults import Faults
from tests.lake.writer.simulation.handles import Handles
from tests.lake.writer.simulation.kafka import SimulatedKafka
from tests.lake.writer.simulation.writer import Calendar, SimulatedWriter, simulation

KEY = (TOPIC, 0)


class Stage:
    """One topic with one partition, one lake, and writers that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.kafka = SimulatedKafka([TOPIC], 1)
        self.bench = Bench(Lake(str(folder / "lake")))
        self._settings = LakeSettings(_env_file=None, home=folder)
        self._ingest = IngestSettings(_env_file=None, home=folder, bootstrap_servers="simulated:1")
        self._now = Calendar()

    def append(self, *ids: str) -> None:
        for name in ids:
            document = f'{{"event_id":"{name}","tenant_id":"a","at":"2026-01-01T00:00:00Z"}}'
            self.kafka.partition(KEY).append(document.encode())

    def append_poison(self) -> None:
        self.kafka.partition(KEY).append(b"{broken")

    def writer(self, *, accept_gap: bool = False, is_drain: bool = False) -> SimulatedWriter:
        writer = SimulatedWriter(
            self.kafka,
            self.bench.lake,
            self._settings,
            self._ingest,
            [CONTRACT],
            self._now,
            accept_gap=accept_gap,
            is_drain=is_drain,
        )
        if not is_drain:
            writer.rebalance([KEY], lost=False, stalled=False)
        return writer

    def ids(self) -> list[str]:
        rows = self.bench.lake.open("bronze", "visits").to_pyarrow_table()
        return [row["event_id"] for row in rows.sort_by("event_id").to_pylist()]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with simulation(Faults(), Handles()):
        yield Stage(tmp_path)


def test_what_was_read_waits_while_the_broker_does_not_say_which_topic_it_was(
    stage: Stage,
) -> None:
    # the topic is made again while its id cannot be asked for: the new one's messages are read
    # under the old one's name, and must not be stored under the old one's offsets
    stage.append("a1", "a2")
    writer = stage.writer()
    writer.turn(9, flush=True)
    writer.commit()
    stage.kafka.recreate(TOPIC)
    stage.append("b1", "b2", "b3")
    stage.kafka.is_silent = True
    writer.turn(9, flush=True)
    writer.commit()
    assert writer.committer.waiting
    assert stage.ids() == ["a1", "a2"]
    stage.kafka.is_silent = False
    writer.commit()
    writer.turn(9, flush=True)
    assert isinstance(writer.ended, OffsetGapError)
    stage.writer(accept_gap=True, is_drain=True).drain()
    assert stage.ids() == ["a1", "a2", "b1", "b2", "b3"]
    assert stage.bench.audit().is_clean


def test_what_was_read_is_written_once_the_broker_answers_again(stage: Stage) -> None:
    writer = stage.writer()
    stage.append("a1")
    stage.kafka.is_silent = True
    writer.turn(9, flush=True)
    writer.commit()
    assert stage.ids() == []
    stage.kafka.is_silent = False
    writer.commit()
    assert stage.ids() == ["a1"]


def asleep_with_poison(stage: Stage) -> SimulatedWriter:
    """A writer that has read a broken message at offset 1 and not written it yet."""
    stage.append("a0")
    stage.append_poison()
    stage.append("a2")
    zombie = stage.writer()
    zombie.turn(9, flush=False)
    return zombie


def test_a_dead_letter_stored_after_its_message_was_compacted_away_is_told_and_no_finding(
    stage: Stage,
) -> None:
    # the new owner never saw the message, so its dead-letter position did not move, and the old
    # one may still store what it had read: it is there once, and the audit should not cry
    zombie = asleep_with_poison(stage)
    del stage.kafka.partition(KEY).records[1]
    stage.writer(is_drain=True).drain()
    zombie.turn(9, flush=True)
    zombie.commit()
    assert stage.bench.dead_offsets() == [(0, 1)]
    report = stage.bench.audit()
    assert report.is_clean, report.findings
    (part,) = report.partitions
    assert (part.rows, part.dead, part.late, part.ahead) == (2, 1, 1, 0)


def test_a_dead_letter_stored_after_its_gap_was_accepted_is_told_and_no_finding(
    stage: Stage,
) -> None:
    zombie = asleep_with_poison(stage)
    stage.kafka.partition(KEY).expire(2)
    stage.writer(accept_gap=True, is_drain=True).drain()
    zombie.turn(9, flush=True)
    zombie.commit()
    report = stage.bench.audit()
    assert report.is_clean, report.findings
    (part,) = report.partitions
    assert (part.rows, part.dead, part.late, part.accepted_gap) == (1, 1, 1, 2)


def test_offsets_in_two_accepted_gaps_are_counted_once(stage: Stage) -> None:
    stage.append("a0", "a1", "a2", "a3")
    stage.writer()  # begins at offset 0, and is killed before it wrote
    for upto in (1, 3):
        stage.kafka.partition(KEY).expire(upto)
        stage.writer(accept_gap=True)
    stage.writer(is_drain=True).drain()
    (part,) = stage.bench.audit().partitions
    assert (part.rows, part.accepted_gap, part.findings) == (1, 3, ())
