"""Lines that say how far a benchmark is."""

from __future__ import annotations

import time

_BEGAN = time.monotonic()


def say(line: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - _BEGAN:6.0f} s  {line}", flush=True)
