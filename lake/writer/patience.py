"""How long a writer waits for a lake that cannot be written to."""

from __future__ import annotations

import threading
from typing import Final

LONGEST_PAUSE_SECONDS: Final = 5.0


class Patience:
    """Waits as long as the writer is meant to run; ends when it is to stop.

    A commit that keeps failing (the object store is away, the disk is full, the credentials have
    expired) is no reason for an always-on writer to die: Kafka keeps the messages, the partitions
    are paused, and the same commit is tried again until it works or somebody ends the writer.
    ``docs/adr/034-wait-for-the-lake.md`` says why.
    """

    def __init__(self, stop: threading.Event) -> None:
        """Wait until ``stop`` is set, or until ``end`` is called."""
        self._stop = stop
        self._ended = threading.Event()

    @property
    def is_over(self) -> bool:
        """True when nobody should wait any longer."""
        return self._stop.is_set() or self._ended.is_set()

    def end(self) -> None:
        """Let whoever waits give up."""
        self._ended.set()

    def pause(self, seconds: float) -> None:
        """Wait, or return sooner when the wait is over."""
        deadline = seconds
        while deadline > 0 and not self.is_over:
            step = min(deadline, 0.2)
            self._ended.wait(step)
            deadline -= step
