"""What goes into decoding and what comes out, column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

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
    headers_of: Callable[[int], Headers | None]
    """The headers of one message, by its row; asked for dead letters only."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Each message once: as a row of its contract's table, or as a dead letter."""

    rows: pa.Table
    """Bronze rows as ``lake.schema.decoded_schema`` has them, in poll order."""
    dead: pa.Table
    """Dead letters as ``lake.schema.decoded_dead_letter_schema`` has them, in poll order."""
    rescued_fields: int
    """Members kept in ``_rescued``, over all rows."""
