"""A broker that does not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError

from ingest.errors import BrokerError

logger = logging.getLogger(__name__)

SILENT_BROKER_SECONDS: Final = 30.0


class Silence:
    """How long no broker has answered."""

    def __init__(self, told: Callable[[str], None], clock: Callable[[], float]) -> None:
        """Begin as if it answered; ``told`` hears why once it does not."""
        self._told = told
        self._clock = clock
        self._since: float | None = None

    def note(self, error: KafkaError) -> None:
        """Take in what librdkafka reports, from within a poll."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            if self._since is None:
                self._since = self._clock()
                self._told(error.str())
                logger.warning("broker_silent", extra={"why": error.str()})
        else:
            logger.info("broker_error", extra={"why": error.str(), "error": error.name()})

    def broken(self) -> None:
        """Note that a broker answered."""
        self._since = None

    def refuse_to_wait(self) -> None:
        """End what is to end: an always-on writer waits for its broker, a drain does not.

        Raises:
            BrokerError: nobody has answered for ``SILENT_BROKER_SECONDS``.
        """
        if self._since is not None and self._clock() - self._since > SILENT_BROKER_SECONDS:
            raise BrokerError(
                f"Kafka has not answered for {SILENT_BROKER_SECONDS:.0f} s",
                hint="What was read is in the tables; run the same again when the broker is up.",
            )
