"""Where accepted events become durable: in Kafka, or on this disk until Kafka is back.

While anything waits on the disk, everything new queues up behind it, so that an event which was
acknowledged before another was sent also comes to Kafka before it. Under load the queue would
never be empty; so when little is left, what is new waits for a moment until Kafka has the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol

from ingest.collector.record import Record
from ingest.collector.spill import Spill

logger = logging.getLogger(__name__)

SEND_AT_ONCE: Final = 2_000
"""Records of a file that are on their way together."""
RETRY_SECONDS: Final = 1.0
WRITE_SECONDS: Final = 0.005
"""How soon to look again for a write to the disk that is under way."""
LITTLE: Final = 4 * 1024 * 1024
"""Bytes in the spill that Kafka takes in a moment."""


class Sender(Protocol):
    """What sends to Kafka."""

    async def send(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that Kafka did not take."""
        ...


class Outbox:
    """Makes records durable, and empties the spill in the background."""

    def __init__(
        self,
        sender: Sender,
        spill: Spill,
        *,
        retry_seconds: float = RETRY_SECONDS,
        on_spilled: Callable[[int], None] = lambda _: None,
        on_drained: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._sender = sender
        self._spill = spill
        self._retry_seconds = retry_seconds
        self._on_spilled = on_spilled
        self._on_drained = on_drained
        self._is_away = not spill.is_empty
        self._something_to_drain = asyncio.Event()
        self._gate = asyncio.Event()
        self._gate.set()
        self._drainer: asyncio.Task[None] | None = None

    @property
    def is_spilling(self) -> bool:
        """True while events go to the disk first."""
        return self._is_away

    def start(self) -> None:
        """Begin to drain, on the running loop."""
        self._drainer = asyncio.create_task(self._drain())
        if self._is_away:
            self._something_to_drain.set()

    def kafka_is_away(self) -> None:
        """Send nothing to Kafka directly until the spill has found it again."""
        if not self._is_away:
            self._is_away = True
            logger.warning("kafka_away")

    async def put(self, records: Sequence[Record]) -> Literal["kafka", "spill"]:
        """Return where the records are when they are durable.

        Raises:
            SpillFullError: they are not; the client has to send them again.
        """
        left: Sequence[Record] = records
        if not self._gate.is_set():
            await self._gate.wait()
        if not self._is_away:
            left = await self._sender.send(records)
            if not left:
                return "kafka"
            self.kafka_is_away()
        try:
            await self._spill.append(left)
        finally:
            self._something_to_drain.set()
        self._on_spilled(len(left))
        return "spill"

    async def close(self) -> None:
        """Stop draining; what is in the spill stays there."""
        self._gate.set()
        if self._drainer is not None:
            self._drainer.cancel()
            with suppress(asyncio.CancelledError):
                await self._drainer
        await self._spill.close()

    async def _drain(self) -> None:
        while True:
            await self._something_to_drain.wait()
            try:
                await self._drain_some()
            except OSError as error:
                self._gate.set()
                logger.error("spill_not_read", extra={"error": error.strerror})
                await asyncio.sleep(self._retry_seconds)

    async def _drain_some(self) -> None:
        path = self._spill.take_oldest()
        if path is not None:
            if self._spill.size <= LITTLE:
                self._gate.clear()
            await self._send_all(path)
        elif self._spill.is_empty:
            # nothing awaits between this look and the change: no record can slip in
            self._is_away = False
            self._something_to_drain.clear()
            self._gate.set()
            logger.info("kafka_is_back")
        else:
            await asyncio.sleep(WRITE_SECONDS)

    async def _send_all(self, path: Path) -> None:
        records = await asyncio.to_thread(self._spill.read, path)
        for start in range(0, len(records), SEND_AT_ONCE):
            left: Sequence[Record] = records[start : start + SEND_AT_ONCE]
            while left:
                sent = len(left)
                left = await self._sender.send(left)
                self._on_drained(sent - len(left))
                if left:
                    self._gate.set()
                    await asyncio.sleep(self._retry_seconds)
        self._spill.done(path)
