"""A real Apache Kafka node, in KRaft mode, on private ports of 127.0.0.1."""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ingest.child_process import dies_with_parent
from tests.kafka_servers import distribution
from tests.ports import free_ports

START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 30

JAVA_OPTIONS = [
    "-Xms256m",
    "-Xmx768m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a test server lives for minutes: quick to start beats quick
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
]


class ApacheKafka:
    """One broker, which keeps its ports and its data over stop, kill, start and restart."""

    def __init__(
        self,
        folder: Path,
        *,
        listeners: Mapping[str, str] | None = None,
        advertise: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        format_options: Sequence[str] = (),
        node_id: int = 1,
        cluster_id: str | None = None,
        controller_port: int | None = None,
    ) -> None:
        """Prepare a broker that keeps everything in ``folder``.

        Args:
            folder: for configuration, data and log; made when missing.
            listeners: more listeners, name to security protocol, beside the plain one.
            advertise: listener name to the ``host:port`` it gives out instead of its own.
            properties: more lines of ``server.properties``.
            format_options: more arguments for ``StorageTool format``, e.g. SCRAM users.
            node_id: of a cluster's nodes, which one this is.
            cluster_id: the id that all nodes of a cluster share; by default one of its own.
            controller_port: where a cluster's other nodes expect this one's controller.

        Raises:
            KafkaUnavailableError: there is no Java, or no jars and no way to fetch them.
        """
        self._folder = folder
        self._java = distribution.java()
        self._classpath = f"{distribution.jars()}/*"
        self._format_options = list(format_options)
        self._protocols = {
            "PLAINTEXT": "PLAINTEXT",
            "CONTROLLER": "PLAINTEXT",
            **(listeners or {}),
        }
        self._ports = dict(zip(self._protocols, free_ports(len(self._protocols)), strict=True))
        if controller_port is not None:
            self._ports["CONTROLLER"] = controller_port
        self._node_id = node_id
        self._cluster_id = cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()
        self._advertise = dict(advertise or {})
        self._properties = dict(properties or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Return ``host:port`` of the listener without security."""
        return self.address("PLAINTEXT")

    @property
    def log_path(self) -> Path:
        """Return the file with the broker's own log."""
        return self._folder / "kafka.log"

    @property
    def pid(self) -> int | None:
        """Return the broker's process id, None while it is not running."""
        return None if self._process is None else self._process.pid

    def address(self, listener: str) -> str:
        """Return ``host:port`` of a listener by its name."""
        return f"127.0.0.1:{self._ports[listener]}"

    def start(self) -> Self:
        """Start the broker, on the data it left, and return when it answers."""
        self.prepare()
        self.launch()
        self.wait()
        return self

    def prepare(self) -> None:
        """Format the data folder, unless there is one."""
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()

    def launch(self) -> None:
        """Start the process; ``wait`` tells when it answers."""
        if self._process is not None:
            return
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                dies_with_parent([*self._java_command(), "kafka.Kafka", str(self._config_path)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when the broker answers."""
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the broker in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker as a power cut would: no flush, no good-bye."""
        self._end(signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) the broker and start it again on the same ports and data."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever leaves the block is done with the data too: no need to wait for a clean stop.
        self.kill()

    @property
    def _config_path(self) -> Path:
        return self._folder / "server.properties"

    def _java_command(self) -> list[str]:
        return [self._java, *JAVA_OPTIONS, "-cp", self._classpath]

    def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._config_path.write_text(
            "".join(f"{name}={value}\n" for name, value in self._configuration().items())
        )
        done = subprocess.run(
            [
                *self._java_command(),
                "kafka.tools.StorageTool",
                "format",
                f"--cluster-id={self._cluster_id.rstrip('=')}",
                f"--config={self._config_path}",
                *self._format_options,
            ],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise RuntimeError(f"Kafka's StorageTool failed:\n{done.stdout}\n{done.stderr}")

    def _configuration(self) -> dict[str, str]:
        controller = self.address("CONTROLLER")
        addresses = {name: f"{name}://{self.address(name)}" for name in self._protocols}
        return {
            "process.roles": "broker,controller",
            "node.id": str(self._node_id),
            "controller.quorum.voters": f"{self._node_id}@{controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(addresses.values()),
            "advertised.listeners": ",".join(
                f"{name}://{self._advertise.get(name, self.address(name))}"
                for name in self._protocols
                if name != "CONTROLLER"
            ),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in self._protocols.items()
            ),
            "log.dirs": str(self._folder / "data"),
            "auto.create.topics.enable": "false",
            # A killed broker may come back when its old session is over, by default after 9 s.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "400",
            # One node, and groups that should be ready at once.
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Tests of compaction and retention should not wait five minutes for the cleaner.
            "log.cleaner.backoff.ms": "500",
            "log.cleaner.dedupe.buffer.size": "8388608",
            "log.initial.task.delay.ms": "500",
            "log.retention.check.interval.ms": "1000",
            "file.delete.delay.ms": "1000",
            **self._properties,
        }

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        admin = AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "log_level": 0,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 200,
            }
        )
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"Apache Kafka ended while starting:\n{self._log_tail()}")
            with contextlib.suppress(KafkaException):
                if admin.list_topics(timeout=1).brokers:
                    return
        raise RuntimeError(
            f"Apache Kafka did not answer within {START_TIMEOUT_S} s:\n{self._log_tail()}"
        )

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(by)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])
