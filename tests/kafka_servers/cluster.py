"""A real Apache Kafka of several nodes, so that one may be away while the others carry on."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka_servers.apache import ApacheKafka
from tests.ports import free_ports

READY_TIMEOUT_S = 240


class ApacheCluster:
    """``size`` brokers that are each also a controller; every topic is on all of them.

    With three, a message is acknowledged when two have it, so one broker at a time may be killed
    and nothing stops.
    """

    def __init__(
        self, folder: Path, size: int = 3, *, properties: Mapping[str, str] | None = None
    ) -> None:
        """Prepare the brokers; each keeps everything in a folder of its own below ``folder``.

        Raises:
            KafkaUnavailableError: there is no Java, or no jars and no way to fetch them.
        """
        self.mender = ThreadPoolExecutor(1, thread_name_prefix="mender")
        """Start a broker again in here: it ends with the thread that started it."""
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        controllers = free_ports(size)
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(controllers, start=1))
        in_sync = str(max(1, size - 1))
        replicated = {
            "controller.quorum.voters": voters,
            "default.replication.factor": str(size),
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": str(size),
            "transaction.state.log.replication.factor": str(size),
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": str(size),
            "share.coordinator.state.topic.min.isr": in_sync,
            # a replica that was away is back in sync, and one that went is out, within seconds
            "replica.lag.time.max.ms": "3000",
            "group.min.session.timeout.ms": "1000",
            "controller.quorum.election.timeout.ms": "600",
            "controller.quorum.fetch.timeout.ms": "1200",
            **(properties or {}),
        }
        self.brokers = [
            ApacheKafka(
                folder / f"broker-{n}",
                node_id=n,
                cluster_id=cluster_id,
                controller_port=port,
                properties=replicated,
            )
            for n, port in enumerate(controllers, start=1)
        ]

    @property
    def bootstrap_servers(self) -> str:
        """Return the addresses of all brokers."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    @property
    def replication(self) -> int:
        """Return how many copies of a topic there are."""
        return len(self.brokers)

    def start(self) -> Self:
        """Start all brokers and return when each of them answers."""
        # a broker answers when the quorum has a leader, so none can be waited for alone
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            for broker in self.brokers:
                broker.prepare()
            for broker in self.brokers:
                broker.launch()
            list(pool.map(ApacheKafka.wait, self.brokers))
        return self

    def wait_until_in_sync(self, topic: str, timeout: float = READY_TIMEOUT_S) -> None:
        """Return when every replica of ``topic`` is in sync again, so that the next may go."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with suppress(KafkaException):
                found = admin.list_topics(topic, timeout=2).topics[topic].partitions.values()
                if found and all(len(p.isrs) == len(p.replicas) for p in found):
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the replicas of {topic} were not in sync within {timeout:.0f} s")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.mender.shutdown()
        for broker in self.brokers:
            broker.kill()
