"""What goes into decoding and what comes out, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Messages:
    """What was polled from one topic, in poll order; every array has one entry a message."""

    topic: str
    topic_id: str
    partition: pa.Array
    """int32."""
    offset: pa.Array
    """int64."""
    appended_at: pa.Array
    """timestamp[us, UTC]: the timestamp Kafka keeps with the message."""
    key: pa.Array
    """binary; null where the message has none."""
    value: pa.Array
    """binary or large_binary; null is a tombstone."""
    headers: Sequence[Headers | None] | None = None
    """One entry a message, or None when none of them has headers; kept for dead letters."""

    def __len__(self) -> int:
        return len(self.offset)

    def select(self, keep: np.ndarray[Any, np.dtype[np.bool_]]) -> Messages:
        """Return the messages whose entry in ``keep`` is true."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        take = pa.array(rows)
        return Messages(
            self.topic,
            self.topic_id,
            pc.take(self.partition, take),
            pc.take(self.offset, take),
            pc.take(self.appended_at, take),
            pc.take(self.key, take),
            pc.take(self.value, take),
            None if self.headers is None else [self.headers[row] for row in rows.tolist()],
        )


def together(chunks: Sequence[Messages]) -> Messages:
    """Return the messages of several chunks of one topic as one.

    Raises:
        ValueError: there is no chunk.
    """
    if not chunks:
        raise ValueError("no messages to put together")
    first = chunks[0]
    if len(chunks) == 1:
        return first
    headers = None
    if any(chunk.headers is not None for chunk in chunks):
        headers = list(
            chain.from_iterable(
                repeat(None, len(chunk)) if chunk.headers is None else chunk.headers
                for chunk in chunks
            )
        )
    return Messages(
        first.topic,
        first.topic_id,
        pa.concat_arrays([chunk.partition for chunk in chunks]),
        pa.concat_arrays([chunk.offset for chunk in chunks]),
        pa.concat_arrays([chunk.appended_at for chunk in chunks]),
        pa.concat_arrays([chunk.key for chunk in chunks]),
        pa.concat_arrays([chunk.value for chunk in chunks]),
        headers,
    )


@dataclass(frozen=True, slots=True)
class Decoded:
    """Each message once: as a row of its contract's table, or as a dead letter."""

    rows: pa.Table
    """Bronze rows as ``lake.schema.decoded_schema`` has them, in poll order."""
    dead: pa.Table
    """Dead letters as ``lake.schema.decoded_dead_letter_schema`` has them, in poll order."""
    rescued_fields: int
    """Members kept in ``_rescued``, over all rows."""
