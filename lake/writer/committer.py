"""The thread that commits, while others poll and decode."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

from lake.writer.batch import Batch
from lake.writer.sink import Flushed

STOP = None


class Committer:
    """Takes batches in order, hands back what became of them.

    After a failure nothing more is written: the batches still waiting are dropped, and ``failure``
    says why. Kafka has their messages.
    """

    def __init__(self, write: Callable[[Batch], Flushed]) -> None:
        self._write = write
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._results: deque[Flushed] = deque()
        self._waiting_bytes = 0
        self._waiting = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        """What stopped the thread."""
        return self._failure

    @property
    def waiting_bytes(self) -> int:
        """Payload bytes handed over and not yet committed."""
        return self._waiting_bytes

    @property
    def waiting(self) -> int:
        """Batches handed over and not yet committed."""
        return self._waiting

    def submit(self, batch: Batch) -> None:
        """Hand over a batch; never blocks."""
        with self._changed:
            self._waiting_bytes += batch.size
            self._waiting += 1
        self._queue.put(batch)

    def results(self) -> list[Flushed]:
        """Return what became of batches since the last call."""
        with self._changed:
            found = list(self._results)
            self._results.clear()
        return found

    def wait(self, until_bytes: int, timeout: float) -> bool:
        """Wait until less than ``until_bytes`` wait (0: until idle); False when time is up."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (
                    self._failure is not None
                    or self._waiting == 0
                    or (until_bytes > 0 and self._waiting_bytes < until_bytes)
                ),
                timeout,
            )

    def close(self) -> None:
        """End the thread after the batch it is at."""
        self._queue.put(STOP)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not STOP:
            result: Flushed | None = None
            if self._failure is None:
                try:
                    result = self._write(batch)
                except BaseException as error:  # noqa: BLE001 - handed to the polling thread
                    self._failure = error
            size = batch.size
            del batch  # not to keep its rows until the next one comes
            with self._changed:
                self._waiting_bytes -= size
                self._waiting -= 1
                if result is not None:
                    self._results.append(result)
                self._changed.notify_all()
