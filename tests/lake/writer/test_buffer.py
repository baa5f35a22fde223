"""What waits for its flush, piece by piece, and what is left of it when partitions go."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

import lake.writer.buffer
from lake.writer.batch import Part
from lake.writer.buffer import TopicBuffer
from lake.writer.messages import Decoded, Messages
from lake.writer.source import Source

P0, P1 = (Source("visits", "id-1", number) for number in (0, 1))


def messages(partition: int, offsets: range) -> Messages:
    count = len(offsets)
    return Messages(
        "visits",
        "id-1",
        pa.array([partition] * count, pa.int32()),
        pa.array(offsets, pa.int64()),
        pa.array(range(count), pa.int64()).cast(pa.timestamp("us", "UTC")),
        pa.nulls(count, pa.binary()),
        pa.array([b"12345"] * count, pa.large_binary()),
    )


class Began:
    """Notes what is handed over to be decoded."""

    def __init__(self) -> None:
        self.pieces: list[int] = []

    def __call__(self, messages: Messages) -> Callable[[], Decoded]:
        self.pieces.append(len(messages))
        nothing = pa.table({})
        return lambda: Decoded(nothing, nothing, 0)


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> Began:
    monkeypatch.setattr(lake.writer.buffer, "DECODED_TOGETHER", 10)
    return Began()


def test_decoding_begins_before_the_flush_is_due(began: Began) -> None:
    buffer = TopicBuffer("visits", "id-1", began)
    for start in range(0, 25, 5):
        buffer.add(messages(0, range(start, start + 5)), 1.0)
    assert began.pieces == [10, 10]
    batch = buffer.take([Part(P0, None, 0, 24)])
    assert began.pieces == [10, 10, 5]
    assert [piece.offset.to_pylist()[0] for piece in batch.pieces] == [0, 10, 20]
    assert batch.size == 25 * 5
    assert (buffer.messages, buffer.size, buffer.since) == (0, 0, None)


def test_a_dropped_partition_is_forgotten_whether_its_decoding_began_or_not(began: Began) -> None:
    buffer = TopicBuffer("visits", "id-1", began)
    buffer.add(messages(0, range(6)), 1.0)
    buffer.add(messages(1, range(6)), 1.0)  # twelve: they are being decoded
    buffer.add(messages(0, range(6, 9)), 1.0)
    buffer.add(messages(1, range(6, 8)), 1.0)
    buffer.drop(P0)
    assert buffer.messages == 8
    buffer.drop(P0)
    assert buffer.messages == 8
    buffer.add(messages(0, range(4)), 1.0)  # it came back, from where the tables are
    batch = buffer.take([Part(P0, None, 0, 3), Part(P1, None, 0, 7)])
    kept = [
        (number, offset)
        for piece in batch.pieces
        for number, offset in zip(
            piece.partition.to_pylist(), piece.offset.to_pylist(), strict=True
        )
        if number not in piece.dropped
    ]
    assert sorted(kept) == [(0, n) for n in range(4)] + [(1, n) for n in range(8)]


def test_nothing_but_an_end_that_was_passed_makes_a_batch_without_pieces(began: Began) -> None:
    buffer = TopicBuffer("visits", "id-1", began)
    buffer.touch(2.0)
    batch = buffer.take([Part(P0, 3, 4, 5)])
    assert (batch.pieces, batch.size) == ((), 0)
