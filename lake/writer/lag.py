"""How far the tables are behind Kafka, by source: in messages and in seconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.writer.source import Source


@dataclass(frozen=True, slots=True)
class Lag:
    """How far one source is behind."""

    source: Source
    messages: int
    seconds: float


@dataclass(slots=True)
class _Reading:
    next_offset: int
    """The first offset that is not in the tables yet."""
    end: int | None = None
    """The offset after the last one in Kafka, as last heard."""
    polled: deque[tuple[int, float]] = field(default_factory=deque)
    """For each poll that is not in the tables yet: its last offset, and when Kafka got its first
    message, in seconds since 1970."""
    behind_since: float | None = None
    """When a backlog was first seen of which nothing was polled, in seconds since 1970."""


class Lags:
    """Keeps one short entry a poll, so that the oldest message on its way is always known.

    Written by the polling thread, read by whoever asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[Source, _Reading] = {}

    def __len__(self) -> int:
        return len(self._readings)

    def begin(self, source: Source, first: int) -> None:
        """Take in a source whose next offset is ``first``; forget what was known of it."""
        with self._lock:
            self._readings[source] = _Reading(first)

    def drop(self, source: Source) -> None:
        """Forget a source."""
        with self._lock:
            self._readings.pop(source, None)

    def polled(self, source: Source, last: int, first_appended: float) -> None:
        """Note a poll: its last offset, and when Kafka got its first message (s since 1970)."""
        with self._lock:
            reading = self._readings.get(source)
            if reading is not None:
                reading.polled.append((last, first_appended))

    def settled(self, landed: Mapping[Source, int]) -> None:
        """Note which sources are in the tables up to which offset, inclusive."""
        with self._lock:
            for source, last in landed.items():
                reading = self._readings.get(source)
                if reading is None:
                    continue
                reading.next_offset = max(reading.next_offset, last + 1)
                while reading.polled and reading.polled[0][0] <= last:
                    reading.polled.popleft()

    def heard(self, ends: Mapping[Source, int], now: float) -> None:
        """Note where sources end in Kafka: the offset after the last one."""
        with self._lock:
            for source, end in ends.items():
                reading = self._readings.get(source)
                if reading is None:
                    continue
                reading.end = end
                is_unseen = end > reading.next_offset and not reading.polled
                if not is_unseen:
                    reading.behind_since = None
                elif reading.behind_since is None:
                    reading.behind_since = now

    def now(self, now: float) -> list[Lag]:
        """Return the lag of each source whose end was heard; ``now`` in seconds since 1970.

        The age of a message is never negative, whatever a producer's clock claims.
        """
        found = []
        with self._lock:
            for source, reading in sorted(self._readings.items()):
                if reading.end is None:
                    continue
                messages = max(0, reading.end - reading.next_offset)
                oldest = reading.polled[0][1] if reading.polled else reading.behind_since
                seconds = 0.0 if oldest is None or not messages else max(0.0, now - oldest)
                found.append(Lag(source, messages, seconds))
        return found
