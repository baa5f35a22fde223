"""One message as the generator sends it, with what is known about it."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

Fault = Literal[
    "missing_required",
    "invalid_required",
    "broken",
    "wrong_type",
    "unknown_field",
    "duplicate",
    "late",
    "future",
]
"""What was done to a message; one thing at most."""

Reason = Literal["not_json", "not_utf8", "not_an_object", "missing_required", "invalid_required"]
"""Why the message must become a dead letter: the literals that the writer uses."""

RESCUED: Final[frozenset[Fault]] = frozenset({"wrong_type", "unknown_field"})
"""Faults that cost a field and not the row: the value must be found in ``_rescued``."""


class Message(NamedTuple):
    """One message; a tuple because there are millions."""

    contract: str
    key: bytes
    value: bytes
    timestamp_ms: int
    """Kafka's timestamp, milliseconds since 1970 UTC."""
    payload: dict[str, Any]
    """What the value says, or would say if it were not broken."""
    event_id: str
    """The event's own id, also when the message lacks it."""
    fault: Fault | None
    reason: Reason | None
    """None when the message must become a row."""
