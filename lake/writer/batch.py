"""Messages on their way from the poll to a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from lake.writer.messages import Decoded, Messages
from lake.writer.source import Source


@dataclass(frozen=True, slots=True)
class Part:
    """One source's part of a batch: the offsets from ``first`` to ``last``, all accounted for."""

    source: Source
    held: int | None
    """The last offset the table must hold before this batch; None: nothing."""
    first: int
    """The first offset of the range, whether a message has it or not."""
    last: int
    """The last offset of the range, inclusive; a message or a transaction marker."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Messages that are decoded together, maybe before their flush is due."""

    partition: pa.Array
    """int32, one entry a message."""
    offset: pa.Array
    """int64, one entry a message."""
    decoded: Callable[[], Decoded]
    """Waits for what became of the messages; raises what decoding raised."""
    dropped: set[int] = field(default_factory=set)
    """Partitions that were taken away since: their messages here are nobody's."""

    @classmethod
    def of(cls, messages: Messages, decode: Callable[[Messages], Callable[[], Decoded]]) -> Piece:
        """Begin to decode messages; their bytes are kept no longer than that takes."""
        return cls(messages.partition, messages.offset, decode(messages))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one flush takes from one incarnation of a topic."""

    topic: str
    topic_id: str
    parts: tuple[Part, ...]
    pieces: tuple[Piece, ...]
    """In poll order; may be empty when only transaction markers were passed."""
    size: int
    """Payload bytes."""
