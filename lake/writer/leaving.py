"""How a writer lets go of Kafka, whatever state Kafka is in."""

from __future__ import annotations

import logging
import threading
from typing import Final, Protocol

logger = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""More than leaving a group takes, less than a container is given to stop."""


class Closable(Protocol):
    """A consumer, as far as is needed here."""

    def close(self) -> None:
        """Leave the group and let go of all connections."""


def close_in_time(consumer: Closable, seconds: float = SECONDS) -> bool:
    """Close a consumer, or leave it behind after ``seconds``; return whether it was closed.

    librdkafka's close may wait for ever, as it did with 2.16.0 when the broker was killed in the
    same moment; confluentinc/librdkafka#4884 is a way there, not known to be this one. Nothing
    depends on it: offsets are in the tables, and Kafka gives the partitions to others once the
    session has timed out. The thread that is left does not keep the process from ending.

    Raises:
        KafkaException: what closing raised, if it did so in time.
    """
    raised: list[BaseException] = []

    def close() -> None:
        try:
            consumer.close()
        except BaseException as error:  # noqa: BLE001 - raised below, by who asked
            raised.append(error)

    closing = threading.Thread(target=close, name="leaving", daemon=True)
    closing.start()
    closing.join(seconds)
    if raised:
        raise raised[0]
    if closing.is_alive():
        logger.warning("consumer_left_behind", extra={"seconds": seconds})
        return False
    return True
