"""What became of one event of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ingest.collector.reasons import Reason


class Accepted(NamedTuple):
    """The event is right; it is taken once its message is durable."""

    event_id: str
    contract: str
    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """The event is not taken, and never will be as it is: sending it again does not help."""

    reason: Reason
    detail: str
    """Names members and types, never values."""
    event_id: str | None = None
    contract: str | None = None


Verdict = Accepted | Rejected
