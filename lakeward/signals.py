"""Ending in good order on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Final, Self

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


class Start:
    """The start of a server that brings handlers of its own: Ctrl-C and SIGTERM end it.

    Where the block is at that moment it is left, with nothing but its own ``finally``, and
    ``was_ended`` is true. From ``is_over`` on both are for the server, which hands them back when
    it has ended: then they mean nothing any more.
    """

    def __init__(self) -> None:
        self.was_ended = False
        self._is_over = False

    def is_over(self) -> None:
        """Leave the signals to the server from now on."""
        self._is_over = True

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> bool:
        return kind is not None and issubclass(kind, _StartEnded)

    def _end(self, number: int, _frame: object) -> None:
        if not (self._is_over or self.was_ended):
            self.was_ended = True
            raise _StartEnded(signal.Signals(number).name)


class _StartEnded(BaseException):
    """Goes up to the block of ``Start``; no ``except Exception`` may keep it."""
