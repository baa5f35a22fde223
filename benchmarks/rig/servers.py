"""The broker that a benchmark reads from: Apache Kafka, or the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ingest.broker import EmbeddedBroker
from ingest.settings import IngestSettings
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.distribution import KAFKA_VERSION

BrokerKind = Literal["apache", "embedded"]
BROKERS: tuple[BrokerKind, ...] = ("apache", "embedded")


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker."""

    kind: BrokerKind
    address: str
    pid: int
    home: Path
    """LAKEWARD_HOME for whoever uses it."""

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return f"Apache Kafka {KAFKA_VERSION}" if self.kind == "apache" else "the embedded broker"

    @property
    def settings(self) -> IngestSettings:
        """How this process reaches it."""
        servers = self.address if self.kind == "apache" else None
        return IngestSettings(_env_file=None, home=self.home, bootstrap_servers=servers)

    @property
    def environment(self) -> dict[str, str]:
        """How a ``lakeward`` process reaches it."""
        servers = {"KAFKA_BOOTSTRAP_SERVERS": self.address} if self.kind == "apache" else {}
        return {"LAKEWARD_HOME": str(self.home), **servers}


@contextmanager
def broker(kind: BrokerKind, folder: Path) -> Iterator[Broker]:
    """Start a broker that keeps everything in ``folder`` and ends with the block."""
    home = folder / "home"
    home.mkdir(parents=True)
    if kind == "apache":
        with ApacheKafka(folder / "kafka") as server:
            assert server.pid is not None
            yield Broker(kind, server.bootstrap_servers, server.pid, home)
    else:
        with EmbeddedBroker(home) as server:
            assert server.pid is not None
            yield Broker(kind, server.bootstrap_servers, server.pid, home)
