"""Whether a topic is still the one that was polled.

A topic that is deleted and made again is read on under its name, and its messages must not be
written under the offsets of the old one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from ingest.errors import BrokerError
from lake.errors import OffsetGapError
from lake.writer.broker_view import BrokerView
from lake.writer.start import HINT

logger = logging.getLogger(__name__)

ASK_AGAIN_SECONDS: Final = 1.0


class SameTopic:
    """Asks Kafka for the ids of topics."""

    def __init__(
        self,
        view: BrokerView,
        stop: threading.Event,
        *,
        longest: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask ``view``; ``longest`` bounds the seconds to wait for an answer, None does not."""
        self._view = view
        self._stop = stop
        self._longest = longest
        self._clock = clock
        self._is_over = False

    def check(self, topic: str, topic_id: str) -> None:
        """Ask once.

        Raises:
            OffsetGapError: the topic was made again.
            BrokerError: nobody says.
        """
        present = self._view.topic_id(topic)
        if present is not None and present != topic_id.partition("#")[0]:
            raise OffsetGapError(
                f"the topic {topic} was deleted and made again while it was read: id {topic_id} "
                f"before, {present} now",
                hint=HINT,
            )

    def confirm(self, topic: str, topic_id: str) -> None:
        """Ask until somebody says, or it is time to end.

        Raises:
            OffsetGapError: the topic was made again.
            BrokerError: nobody said.
        """
        began = self._clock()
        while True:
            try:
                return self.check(topic, topic_id)
            except BrokerError as failure:
                waited = self._clock() - began
                is_late = self._longest is not None and waited > self._longest
                if self._is_over or is_late or self._stop.wait(ASK_AGAIN_SECONDS):
                    raise
                logger.warning("topic_not_confirmed", extra={"why": failure.message})

    def end(self) -> None:
        """Wait for no answer any more."""
        self._is_over = True
