"""The whole writer on a broker: in this process or as ``lakeward write``, and a ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract
from lake.audit import AuditReport, audit
from lake.journal import Entry, Journal
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.progress import Progress
from lake.writer.service import run
from tests.kafka_servers.topics import KafkaForTest

TIMEOUT_S = 180.0

CONTRACT_FILE = """\
apiVersion: v3.2.0
kind: DataContract
id: urn:lakeward:contract:visits
name: visits
version: 1.0.0
status: active
description:
  purpose: Visits.
team:
  name: tests
schema:
  - name: visits
    physicalName: {topic}
    physicalType: topic
    logicalType: object
    description: Visits.
    customProperties:
      - property: eventTime
        value: occurred_at
      - property: messageKey
        value: [tenant_id]
    properties:
      - name: event_id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 2
        description: Names the visit.
      - name: tenant_id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        description: Whose visit.
      - name: occurred_at
        physicalName: at
        logicalType: timestamp
        required: true
        description: When.
"""


@dataclass
class Rig:
    """One topic on one broker, one lake, and what was produced."""

    kafka: KafkaForTest
    topic: str
    settings: LakeSettings
    ledger: list[str] = field(default_factory=list)
    """The ids of the good events that the broker has acknowledged."""
    poison: int = 0
    _writing_contract: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def make(cls, kafka: KafkaForTest, partitions: int = 2, **settings: Any) -> Rig:
        """A rig with a new topic."""
        topic = kafka.unique("visits")
        kafka.create_topic(topic, partitions)
        lake = LakeSettings(
            _env_file=None,
            **{
                "home": kafka.settings.home,
                # groups and committed offsets of one test are no business of another
                "writer_name": f"w-{topic}",
                "flush_seconds": 0.2,
                **settings,
            },
        )
        return cls(kafka, topic, lake)

    @property
    def contract(self) -> Contract:
        return load_contract(self.contract_file)

    @property
    def contract_file(self) -> Path:
        """The contract of this topic, written when asked for."""
        folder = self.kafka.settings.home / "contracts"
        path = folder / "visits.odcs.yaml"
        with self._writing_contract:  # two writers of a test may ask at once
            if not path.exists():
                folder.mkdir(exist_ok=True)
                path.write_text(CONTRACT_FILE.format(topic=self.topic))
        return path

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.root)

    def produce(self, count: int, *, partition: int | None = None, poison: int = 0) -> None:
        """Write good events, and broken ones among them."""
        messages: list[tuple[Any, ...]] = []
        ids = [f"e{len(self.ledger) + n}" for n in range(count)]
        for event_id in ids:
            messages.append((event_id, payload(event_id), None, partition))
        for n in range(poison):
            messages.insert((n * 7) % (len(messages) + 1), ("p", b"{broken", None, partition))
        self.kafka.produce(self.topic, messages)
        self.ledger += ids
        self.poison += poison

    def drain(self, **options: Any) -> Progress:
        """``lakeward write --until-current`` in this process."""
        settings = options.pop("settings", self.settings)
        contracts = options.pop("contracts", [self.contract])
        return run(self.kafka.settings, settings, contracts, until_current=True, **options)

    @contextmanager
    def writing(self, settings: LakeSettings | None = None, **options: Any) -> Iterator[Running]:
        """An always-on writer in a thread of this process."""
        running = Running()
        contracts = options.pop("contracts", [self.contract])

        def target() -> None:
            try:
                running.result = run(
                    self.kafka.settings,
                    settings or self.settings,
                    contracts,
                    stop=running.stop,
                    on_progress=running.progress.append,
                    **options,
                )
            except BaseException as error:  # noqa: BLE001 - raised by ``end``
                running.failure = error

        running.thread = threading.Thread(target=target)
        running.thread.start()
        try:
            yield running
        finally:
            running.stop.set()
            running.thread.join(TIMEOUT_S)
            assert not running.thread.is_alive()

    def command(self, *arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        """The command line and environment of ``lakeward write`` for this topic."""
        env = {
            **os.environ,
            **self.kafka.environment,
            "LAKEWARD_CONTRACTS_DIR": str(self.contract_file.parent),
            "LAKEWARD_WRITER_NAME": self.settings.writer_name,
            "LAKEWARD_FLUSH_SECONDS": str(self.settings.flush_seconds),
            "LAKEWARD_ASSIGNMENT": self.settings.assignment,
            **environment,
        }
        command = [sys.executable, "-m", "lakeward", "write", "--contracts", "visits"]
        return [*command, "--log-format", "json", *arguments], env

    @contextmanager
    def process(self, log: Path, *arguments: str, **environment: str) -> Iterator[Process]:
        """``lakeward write`` as a process; killed at the end if it still runs."""
        command, env = self.command(*arguments, **environment)
        with log.open("ab") as out:
            child = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            yield Process(child, log)
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
                child.wait()

    def ids(self) -> Counter[str]:
        """Event ids in bronze, with how often each is there."""
        if not self.lake.exists("bronze", "visits"):
            return Counter()
        rows = self.lake.open("bronze", "visits").to_pyarrow_table(columns=["event_id"])
        return Counter(rows["event_id"].to_pylist())

    def dead(self) -> int:
        """How many dead letters there are."""
        return int(self.lake.open("bronze", DEAD_LETTERS).to_pyarrow_table().num_rows)

    def audit(self) -> AuditReport:
        return audit(self.lake)

    def journal(self) -> list[Entry]:
        return Journal(self.lake, self.settings.writer_name).entries()

    def assert_exactly_once(self) -> None:
        """Bronze has what the ledger has, each once; the rest is dead letters; the audit agrees."""
        found = self.ids()
        assert found == Counter(self.ledger)
        assert self.dead() == self.poison
        report = self.audit()
        assert report.is_clean, report.findings
        assert (report.rows, report.dead) == (len(self.ledger), self.poison)

    def wait_for_rows(self, count: int) -> None:
        """Return when bronze has ``count`` rows."""
        wait(lambda: sum(self.ids().values()) >= count, f"{count} rows")


@dataclass
class Running:
    """A writer in a thread."""

    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    progress: list[Progress] = field(default_factory=list)
    result: Progress | None = None
    failure: BaseException | None = None

    def wait_for_partitions(self, count: int) -> None:
        """Return when the writer holds ``count`` partitions."""
        wait(
            lambda: (
                self.failure is not None
                or bool(self.progress and self.progress[-1].partitions == count)
            ),
            f"{count} partitions",
        )

    def wait_for_progress(self, count: int = 1) -> None:
        """Return when the writer has told of its progress ``count`` more times."""
        told = len(self.progress)
        wait(lambda: len(self.progress) >= told + count, f"progress, {count} times")

    def wait_for_failure(self) -> BaseException:
        """Return what ended the writer."""
        wait(lambda: self.failure is not None, "the writer to end")
        assert self.failure is not None
        return self.failure

    def end(self) -> Progress:
        """Stop it and return what it did."""
        assert self.thread is not None
        self.stop.set()
        self.thread.join(TIMEOUT_S)
        if self.failure is not None:
            raise self.failure
        assert self.result is not None
        return self.result


@dataclass
class Process:
    """A writer as a process."""

    child: subprocess.Popen[bytes]
    log: Path

    def events(self) -> list[dict[str, Any]]:
        """Its log lines, as far as they are written to their ends."""
        lines = self.log.read_text(errors="replace").rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_for(self, event: str, count: int = 1) -> None:
        """Return when it has logged an event ``count`` times."""

        def seen() -> bool:
            assert self.child.poll() is None, self.log.read_text()
            return sum(line["event"] == event for line in self.events()) >= count

        wait(seen, event)

    def wait_until_buffered(self, messages: int) -> None:
        """Return when it has told that so many messages wait for their flush."""

        def told() -> bool:
            assert self.child.poll() is None, self.log.read_text()
            return any(line.get("buffered") == messages for line in self.events())

        wait(told, f"{messages} messages in the buffer")

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, which it does in good order."""
        self.signal(signal.SIGTERM)
        assert self.child.wait(TIMEOUT_S) == 0, self.log.read_text()


def payload(event_id: str) -> bytes:
    """A good event."""
    document = {"event_id": event_id, "tenant_id": "acme", "at": "2026-01-01T00:00:00Z"}
    return json.dumps(document).encode()


def wait(done: Callable[[], bool], what: str, timeout: float = TIMEOUT_S) -> None:
    """Return when ``done``; an assertion fails after some minutes."""
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain for {what}"
        time.sleep(0.05)
