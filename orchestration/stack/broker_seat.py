"""The broker of ``lakeward up``: the user's own, one that already runs, or one that it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ingest.announcement import Announcement
from ingest.broker import EmbeddedBroker
from ingest.kafka import admin_client, check_reachable, topic_ids
from ingest.settings import IngestSettings
from lake.writer.broker_view import BrokerView


@dataclass(slots=True)
class BrokerSeat:
    """Where Kafka is, and the embedded broker when it is ours to stop."""

    address: str
    what: str
    owned: EmbeddedBroker | None = None

    @classmethod
    def take(cls, settings: IngestSettings) -> BrokerSeat:
        """Return the broker to use, starting the embedded one when there is no other.

        Raises:
            BrokerError: the given cluster does not answer, or the embedded one does not start.
        """
        if settings.bootstrap_servers is not None:
            check_reachable(settings)
            return cls(settings.bootstrap_servers, "Kafka, as KAFKA_BOOTSTRAP_SERVERS says")
        running = Announcement.read(settings.home)
        if running is not None:
            return cls(running.bootstrap_servers, "Kafka, run by `lakeward broker`")
        broker = EmbeddedBroker(settings.home).start()
        return cls(broker.bootstrap_servers, "Kafka, embedded, in memory", broker)

    def check_alive(self) -> None:
        """Do nothing while an own broker runs.

        Raises:
            BrokerError: it ended by itself.
        """
        if self.owned is not None:
            self.owned.check_alive()

    def stop(self) -> None:
        """Stop the broker if it is ours."""
        if self.owned is not None:
            self.owned.stop()
            self.owned = None


def holds_messages(settings: IngestSettings, topics: Iterable[str]) -> bool:
    """True when a message was ever written to one of ``topics``; a missing topic holds none.

    Raises:
        BrokerError: the broker does not answer.
    """
    there = topic_ids(admin_client(settings), topics)
    view = BrokerView(settings)
    # The embedded broker tells an end that is too low, but never 0 once there is a message.
    return any(end > 0 for end in view.stable_ends(view.partitions(there)).values())
