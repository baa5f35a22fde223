"""When people are awake: the pattern of business hours and weekdays.

All hours are UTC. The visitors are spread over the world, so the day is flatter than in one
country: busiest from 8 to 18, quiet at night, weekends at about half.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Millis: TypeAlias = NDArray[np.int64]
"""Milliseconds since 1970-01-01 UTC."""

HOUR_MS: Final = 3_600_000

_HOURS: Final = np.array(
    [
        0.25, 0.2, 0.18, 0.18, 0.2, 0.3, 0.5, 0.75, 1.0, 1.15, 1.2, 1.15,
        1.05, 1.15, 1.25, 1.25, 1.2, 1.05, 0.9, 0.8, 0.7, 0.6, 0.45, 0.35,
    ]
)  # fmt: skip
"""Relative traffic by hour of the day."""

_WEEKDAYS: Final = np.array([1.0, 1.05, 1.1, 1.05, 0.95, 0.55, 0.5])
"""Relative traffic by day of the week, Monday first."""

_THURSDAY: Final = 3
"""1970-01-01 was a Thursday."""


def traffic(at_ms: Millis) -> NDArray[np.float64]:
    """Return how busy the hour of each time is; 1 is a busy weekday morning."""
    hours = at_ms // HOUR_MS
    weekday = (hours // 24 + _THURSDAY) % 7
    return np.asarray(_HOURS[hours % 24] * _WEEKDAYS[weekday], dtype=np.float64)


class Rhythm:
    """Spreads shares of all traffic over a window of time.

    ``at(0.0)`` is the start of the window, ``at(1.0)`` its end, and equal steps in between hold
    equal amounts of traffic: few minutes on a Wednesday morning, hours on a Sunday night.
    """

    def __init__(self, start_ms: int, end_ms: int) -> None:
        edges = np.arange(start_ms - start_ms % HOUR_MS, end_ms + HOUR_MS, HOUR_MS)
        self._times = np.clip(edges, start_ms, end_ms).astype(np.float64)
        spans = np.diff(self._times) * traffic(edges[:-1])
        total = np.concatenate([[0.0], np.cumsum(spans)])
        self._share = total / total[-1]

    def at(self, share: NDArray[np.float64]) -> Millis:
        """Return the time by which that share of the window's traffic has come."""
        return np.interp(share, self._share, self._times).astype(np.int64)
