"""What a topic holds: which table, up to which version.

The position is a message of a compacted topic, sent in the transaction that sends the rows, so
that both are there or neither (ADR 095).
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Self

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """How far one topic is."""

    table: str
    """``gold.<name>``."""
    table_id: str
    """Delta's id of the table: one that was made anew has another."""
    version: int
    """The Delta version whose rows the topic holds."""
    shape: str
    """A digest of key, columns and encoding: rows of another shape are other messages."""
    topic_id: str
    """Kafka's id of the topic: one that was made anew has another."""
    partitions: int
    """Of the topic. With another number keys would move."""
    is_complete: bool
    """False: some rows of the version are there, and others are yet to come."""

    def to_bytes(self) -> bytes:
        """Return the value of the message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> Self | None:
        """Return what a message says; None when it is of no form that is known here."""
        try:
            return cls(**json.loads(value))
        except (ValueError, TypeError):
            logger.warning("position_unreadable", extra={"bytes": len(value)})
            return None
