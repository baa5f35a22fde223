"""A Kafka log without a broker: offsets with holes, expiry, compaction, topics made again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Message, TopicPartition

from ingest.errors import BrokerError
from lake.writer.start import Offered

Key = tuple[str, int]
PREFETCHED = 3
"""Messages that a consumer fetches beyond those it hands out."""


@dataclass
class Partition:
    """One partition of one incarnation of a topic."""

    topic: str
    topic_id: str
    number: int
    low: int = 0
    end: int = 0
    records: dict[int, bytes | None] = field(default_factory=dict)
    """What Kafka has now, by offset."""
    ever: dict[int, bytes | None] = field(default_factory=dict)
    """What Kafka has ever had."""
    compacted: set[int] = field(default_factory=set)
    """Offsets whose messages compaction removed."""

    def append(self, value: bytes | None) -> None:
        """Write a message."""
        self.records[self.end] = self.ever[self.end] = value
        self.end += 1

    def skip(self) -> None:
        """Use an offset up without a message, as a transaction marker does."""
        self.end += 1

    def expire(self, upto: int) -> None:
        """Forget the offsets below ``upto``."""
        self.low = max(self.low, min(upto, self.end))
        self.records = {at: value for at, value in self.records.items() if at >= self.low}

    def compact(self) -> None:
        """Forget every second message but the last one."""
        for at in sorted(self.records)[:-1:2]:
            del self.records[at]
            self.compacted.add(at)


@dataclass
class Topic:
    """One incarnation of a topic."""

    name: str
    topic_id: str
    partitions: list[Partition]


class SimulatedKafka:
    """All topics, present and former."""

    def __init__(self, topics: Iterable[str], partitions: int) -> None:
        self.topics: dict[str, Topic] = {}
        self.former: list[Partition] = []
        self.is_silent = False
        """True: requests for a topic's id are not answered."""
        self._made = 0
        for name in topics:
            self._make(name, partitions)

    def _make(self, name: str, partitions: int) -> None:
        self._made += 1
        topic_id = f"id-{self._made}"
        self.topics[name] = Topic(
            name, topic_id, [Partition(name, topic_id, n) for n in range(partitions)]
        )

    def recreate(self, name: str) -> None:
        """Delete a topic and make it again."""
        old = self.topics[name]
        self.former += old.partitions
        self._make(name, len(old.partitions))

    def list_keys(self) -> list[Key]:
        """Every partition there is now."""
        return [(name, p.number) for name, t in self.topics.items() for p in t.partitions]

    def partition(self, key: Key) -> Partition:
        return self.topics[key[0]].partitions[key[1]]

    def everything(self) -> list[Partition]:
        """Every partition of every incarnation."""
        return self.former + [p for t in self.topics.values() for p in t.partitions]


class SimulatedView:
    """Stands in for ``BrokerView``."""

    def __init__(self, kafka: SimulatedKafka) -> None:
        self._kafka = kafka

    def partitions(self, topics: Iterable[str]) -> list[Key]:
        wanted = set(topics)
        return [key for key in self._kafka.list_keys() if key[0] in wanted]

    def topic_id(self, topic: str) -> str | None:
        if self._kafka.is_silent:
            raise BrokerError("nobody answers")
        return self._kafka.topics[topic].topic_id

    def offered(self, keys: Iterable[Key]) -> dict[Key, Offered]:
        if self._kafka.is_silent:
            raise BrokerError("nobody answers")
        found = {}
        for key in keys:
            partition = self._kafka.partition(key)
            found[key] = Offered(partition.topic_id, partition.low, partition.end)
        return found

    def stable_ends(self, keys: Iterable[Key]) -> dict[Key, int]:
        return {key: self._kafka.partition(key).end for key in keys}

    true_ends = stable_ends


class SimulatedConsumer:
    """Stands in for ``confluent_kafka.Consumer``; reads by topic name, as librdkafka does.

    ``serve`` is called within ``consume``, where librdkafka calls back.
    """

    def __init__(self, kafka: SimulatedKafka) -> None:
        self._kafka = kafka
        self._positions: dict[Key, int] = {}
        self._queue: list[Message] = []
        self._at_end: set[Key] = set()
        self._refused: set[Key] = set()
        self._paused: set[Key] = set()
        self._calls: list[Callable[[], None]] = []
        self._callbacks: dict[str, Callable[..., None]] = {}
        self.count = 1_000_000
        """How many messages the next ``consume`` may return."""

    def subscribe(self, _: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def rebalance(self, keys: Iterable[Key], *, lost: bool) -> None:
        """Take all partitions away at the next poll, and give these."""
        wanted = [TopicPartition(*key) for key in keys]

        def call() -> None:
            held = [TopicPartition(*key) for key in self._positions]
            if held:
                self._callbacks["on_lost" if lost else "on_revoke"](self, held)
            self.assign([])
            self._callbacks["on_assign"](self, wanted)

        self._calls.append(call)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions = {(tp.topic, tp.partition): tp.offset for tp in partitions}
        self._queue, self._at_end, self._refused = [], set(), set()

    def seek(self, partition: TopicPartition) -> None:
        key = partition.topic, partition.partition
        assert key in self._positions, "seek of a partition that is not assigned"
        self._positions[key] = partition.offset
        self._queue = [m for m in self._queue if (m.topic(), m.partition()) != key]
        self._at_end.discard(key)
        self._refused.discard(key)

    def pause(self, partitions: list[TopicPartition]) -> None:
        self._paused |= {(tp.topic, tp.partition) for tp in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self._paused -= {(tp.topic, tp.partition) for tp in partitions}

    def consume(self, num_messages: int, _: float) -> list[Message]:
        calls, self._calls = self._calls, []
        for call in calls:
            call()
        self._fetch(min(num_messages, self.count) + PREFETCHED)
        count = min(num_messages, self.count)
        found, self._queue = self._queue[:count], self._queue[count:]
        return found

    def _fetch(self, room: int) -> None:
        for key, position in self._positions.items():
            if key in self._paused or key in self._refused:
                continue
            partition = self._kafka.partition(key)
            if not partition.low <= position <= partition.end:
                self._refused.add(key)
                self._queue.append(_event(key, position, KafkaError._AUTO_OFFSET_RESET))
                continue
            left = sorted(at for at in partition.records if at >= position)
            for at in left[: max(0, room - len(self._queue))]:
                self._queue.append(_message(partition, at))
                position = at + 1
                self._at_end.discard(key)
            if not any(at >= position for at in left):
                if partition.end > position:
                    self._at_end.discard(key)
                position = partition.end
                if key not in self._at_end:
                    self._at_end.add(key)
                    self._queue.append(_event(key, position, KafkaError._PARTITION_EOF))
            self._positions[key] = position

    def commit(self, **_: Any) -> None:
        """Kafka's own positions are for displays only."""

    def get_watermark_offsets(self, partition: TopicPartition, **_: Any) -> tuple[int, int]:
        found = self._kafka.partition((partition.topic, partition.partition))
        return found.low, found.end

    def close(self) -> None:
        """Nothing is held."""


def _message(partition: Partition, offset: int) -> Message:
    return Message(
        topic=partition.topic,
        partition=partition.number,
        offset=offset,
        key=b"k",
        value=partition.records[offset],
        timestamp=(1, 1_767_225_600_000 + offset),
    )


def _event(key: Key, offset: int, code: int) -> Message:
    return Message(topic=key[0], partition=key[1], offset=offset, error=KafkaError(code))
