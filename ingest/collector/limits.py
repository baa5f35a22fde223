"""How much the collector takes from one client: sizes, ages and depths, as numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What one event may be."""

    max_event_bytes: int
    """As it would go to Kafka."""
    max_depth: int
    """Objects and lists inside each other, the event itself counted."""
    max_age_micros: int
    max_ahead_micros: int


def is_deeper(value: object, limit: int) -> bool:
    """True when ``value`` nests deeper than ``limit``; looks no further than that."""
    if isinstance(value, dict):
        return limit < 1 or any(is_deeper(member, limit - 1) for member in value.values())
    if isinstance(value, list):
        return limit < 1 or any(is_deeper(member, limit - 1) for member in value)
    return False
