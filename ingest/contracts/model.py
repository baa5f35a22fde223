"""A contract in memory: what one kind of event is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FieldKind = Literal[
    "string", "integer", "number", "decimal", "boolean", "timestamp", "date", "map", "json"
]
"""How a value is kept. ``map`` is string to string; ``json`` is any JSON value, kept as text."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of an event and the payload member that fills it."""

    name: str
    """The column."""
    payload_name: str
    """The member of the JSON payload; often the same as ``name``."""
    kind: FieldKind
    required: bool = False
    """A message without it, or with a value that does not fit, is a dead letter."""
    description: str = ""
    unit: str | None = None
    allowed: tuple[str, ...] = ()
    """Values that are expected, empty for any. A row with another one is kept: expectations report
    it, so that a product's new value is noticed without being lost."""
    pii: bool = False
    precision: int = 38
    """Decimal digits in all; ``decimal`` only."""
    scale: int = 0
    """Decimal digits after the point; ``decimal`` only."""
    examples: tuple[str, ...] = ()
    """Sample values, for readers; they restrict nothing."""
    minimum: float | None = None
    """The least value that makes sense, in ``unit``; expectations report what is below it."""
    maximum: float | None = None
    """The greatest value that makes sense, in ``unit``; expectations report what is above it."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What one topic's events are made of, as read from an ODCS v3 file."""

    name: str
    version: str
    """Semantic version of the contract, e.g. ``1.2.0``."""
    topic: str
    owner: str
    description: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    """Columns that identify an event: two rows alike in these are one event."""
    event_time: str
    """The column that says when it happened."""
    message_key: tuple[str, ...]
    """Columns that make the Kafka message key, so that order within them holds."""
    path: Path | None = None
    """The file it was read from."""
    grain: str = ""
    """What one row is."""
    domain: str | None = None
    """The part of the business it belongs to."""
    retention_days: int | None = None
    """Days that events stay in the lake; None means for ever."""

    def field(self, name: str) -> Field:
        """Return the column ``name``.

        Raises:
            KeyError: the contract has no such column.
        """
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)
