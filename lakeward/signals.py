"""Ending in good order on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from typing import Final

INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C or SIGTERM ended before it was done: 128 + SIGINT."""


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set; a second one of the kind interrupts at once."""
    stopping = threading.Event()

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping
