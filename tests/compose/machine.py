"""This machine in the place of Docker: each service's own process, without its container.

What Docker does to a container is done to the process: variables of the image and of ``.env``,
health checks by their own commands, SIGTERM and the file's time to end. Whatever fails while a
machine is open says what it had waited for until then, and what each service said last.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from dotenv import dotenv_values

from ingest.child_process import dies_with_parent
from tests.compose.file import ROOT, Service, services
from tests.compose.places import Places
from tests.kafka_servers.apache import ApacheKafka
from tests.object_stores.seaweed import chosen_ports, port_options

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 600.0
"""How long one answer may take."""
LOOKS: Final = 1200
"""How often one looks for what must come, half a second or more apart.

They are counted, and not the time: a machine that stood still for minutes has lost none.
"""
DEFAULTS: Final = ("env", "--default-signal=INT,QUIT")
"""As in a container. What a shell starts in the background ignores these, and so would what the
tests start; Dagster does by SIGTERM what it does by SIGINT."""
BUSY: Final = 10
"""So many times slower than a machine of its own this one may be, when others work on it too."""
KAFKA: Final = "kafka"
LISTENERS: Final = {19092: "PLAINTEXT", 9092: "HOST"}
"""The ports of the file's Kafka, and what they are called in that of the tests."""
ENDED_BY_SIGTERM: Final = {0, -signal.SIGTERM, 128 + signal.SIGTERM}


class Machine:
    """Some services of the compose file, as processes."""

    def __init__(
        self, folder: Path, env_file: Path, kafka: ApacheKafka, names: Iterable[str]
    ) -> None:
        """Take a folder for everything, the ``.env``, the Kafka, and which services to run."""
        self._folder = folder
        self.variables = {k: v or "" for k, v in dotenv_values(env_file).items()}
        known = services(self.variables)
        self.services = {name: known[name] for name in names}
        self._kafka = kafka
        self._places = Places(
            folder,
            known,
            {
                (KAFKA, port): int(kafka.address(listener).rpartition(":")[2])
                for port, listener in LISTENERS.items()
            },
        )
        self._started: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._began = time.monotonic()
        self._story: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self._report())
        try:
            self._kafka.kill()
        finally:
            for process in self._processes.values():
                _kill_session(process)

    def folder(self, name: str) -> Path:
        """Return the folder that stands for the first volume of a service."""
        return self._places.home(self.services[name])

    def url(self, name: str, port: int) -> str:
        """Return the address of a service here; ``port`` is that of its container."""
        return f"http://127.0.0.1:{self._places.port(name, port)}"

    def up(self, *names: str) -> None:
        """Start services, each when those that it needs are healthy; return when all are.

        Without a name these are all that do not run yet.
        """
        unstarted = {*(names or self.services)} - self._started
        unwell: dict[str, str] = {}
        self._started |= unstarted

        def left() -> dict[str, str]:
            waiting = unstarted | unwell.keys()
            ready = {n for n in unstarted if waiting.isdisjoint(self.services[n].needs)}
            for name in sorted(ready, key=lambda name: name == KAFKA):  # it is waited for
                self._start(name)
            unstarted.difference_update(ready)
            for name in sorted(ready | unwell.keys()):
                unwell[name] = self.why_unwell(name)
                if not unwell[name]:
                    del unwell[name]
                    self._tell(f"{name} is healthy")
            return dict.fromkeys(unstarted, "not started") | unwell

        self.wait(f"health of {', '.join(sorted(unstarted))}", left)

    def wait(self, what: str, left: Callable[[], object]) -> None:
        """Return when nothing is left to wait for.

        Args:
            what: what it is, for whoever reads of a failure.
            left: tells what is left. That a service does not answer (yet) is something left.

        Raises:
            AssertionError: it does not come, or a service has ended.
        """
        self._tell(f"waiting: {what}")
        still: object = None
        for _ in range(LOOKS):
            began, before = time.monotonic(), still
            try:
                still = left()
            except httpx.TransportError as error:
                still = repr(error)
            if not still:
                self._tell(f"came: {what}")
                return
            if still != before:
                logger.info("left: %s", still)
            self.assert_all_run()
            # As long as asking takes, or that takes all of the CPU.
            time.sleep(min(max(0.5, time.monotonic() - began), 3))
        raise AssertionError(f"it did not come: {what}; what is left: {still}")

    def assert_all_run(self) -> None:
        """Fail when a service has ended; Docker would start it again and hide it."""
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}"

    def why_unwell(self, name: str) -> str:
        """Ask for its health as Docker would, by the file's command; nothing when it is well.

        A service without such a command is healthy.
        """
        check = self.services[name].healthcheck
        if not check:
            return ""
        done = self.execute(name, *check)
        if done.returncode == 0:
            return ""
        said = (done.stdout + done.stderr).strip().splitlines()
        return f"its check ended with {done.returncode}: {said[-1] if said else 'without a word'}"

    def execute(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as ``docker compose exec`` would, with all that the service has."""
        service = self.services[name]
        return subprocess.run(
            self._words(service, command),
            cwd=self._places.home(service),
            env=self._environment(service),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def stop(self) -> None:
        """Send each service SIGTERM when those that need it have ended.

        Raises:
            AssertionError: one does not end in the file's time, or ends by an error.
        """
        left = set(self._started)
        while left:
            self._tell(f"stopping: {', '.join(sorted(left))}")
            needed = {need for name in left for need in self.services[name].needs}
            ending = sorted(left - needed)
            for name in ending:
                if name != KAFKA:
                    self._processes[name].send_signal(signal.SIGTERM)
            for name in ending:
                self._wait_for_end(name)
            left &= needed

    def _start(self, name: str) -> None:
        if name == KAFKA:
            self._kafka.start()
            return
        service = self.services[name]
        words = self._words(service, [*self._entrypoint(service), *service.command])
        with self._log_path(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                dies_with_parent([*DEFAULTS, *words, *self._ports_to_say(service)]),
                cwd=self._places.home(service),
                env=self._environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_for_end(self, name: str) -> None:
        if name == KAFKA:
            self._kafka.stop()
            return
        process = self._processes[name]
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.services[name].grace_s * BUSY)
        code = process.poll()
        _kill_session(process)  # what is left in a container goes with it
        assert code in ENDED_BY_SIGTERM, f"{name}, told to end: {code or 'not in its time'}"

    def _tell(self, what: str) -> None:
        self._story.append(f"{time.monotonic() - self._began:6.1f} s: {what}")
        logger.info(what)

    def _report(self) -> str:
        """Return what happened, and the end of each log; that of who has ended is longer."""
        said = [f"{KAFKA}\n{_end_of(self._kafka.log_path, 8)}"] if KAFKA in self._started else []
        for name, process in self._processes.items():
            code = process.poll()
            how, lines = ("running", 8) if code is None else (f"ended with {code}", 60)
            said.append(f"{name} ({how})\n{_end_of(self._log_path(name), lines)}")
        return "\n\n".join(["\n".join(self._story), *said])

    def _log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _words(self, service: Service, command: Sequence[str]) -> list[str]:
        program, *words = command
        return [
            self._places.here(service, program, is_of_file=False),
            *(self._places.here(service, word) for word in words),
        ]

    def _entrypoint(self, service: Service) -> tuple[str, ...]:
        """Return the entry point of an image that is not ours."""
        return {"prometheus": ("prometheus",), "seaweedfs": ("weed",)}.get(service.name, ())

    def _ports_to_say(self, service: Service) -> list[str]:
        """Return options for ports that a container has by default."""
        if service.name == "prometheus":
            return [f"--web.listen-address=127.0.0.1:{self._places.port('prometheus', 9090)}"]
        if service.name == "seaweedfs":
            return port_options(chosen_ports(s3=self._places.port("seaweedfs", 8333)))
        return []

    def _environment(self, service: Service) -> dict[str, str]:
        shared: dict[str, str] = {}
        if service.image.startswith("lakeward:"):
            shared |= image_environment()
        if service.reads_env_file:
            shared |= self.variables
        here = self._places.here
        return {
            "TMPDIR": here(service, "/tmp", is_of_file=False),
            **{k: here(service, v, is_of_file=False) for k, v in shared.items()},
            **{k: here(service, v) for k, v in service.environment.items()},
            "PATH": f"{here(service, '/opt/lakeward/bin')}{os.pathsep}{os.environ['PATH']}",
        }


def image_environment() -> dict[str, str]:
    """Return the variables of lakeward's own image."""
    text = (ROOT / "docker/Dockerfile").read_text().replace("\\\n", " ")
    written = re.findall(r"^ENV (.*)$", text, re.MULTILINE)[-1]
    return dict(pair.split("=", 1) for pair in shlex.split(written))


def _end_of(log: Path, count: int) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line[:400]}" for line in lines[-count:])


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
