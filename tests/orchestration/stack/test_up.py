"""``lakeward up`` as a user runs it: a table of what runs, and nothing left after it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from lake.audit import audit
from lake.inventory import TableFacts, inventory
from lake.tables import Lake
from orchestration.stack.clean_stop import CleanStop
from orchestration.stack.health import DagsterPage
from serving.watch.dagster import ask_dagster

PATIENCE_S = 180.0
ASSETS = "{ assetNodes { assetKey { path } groupName } }"
PROCESSES = {"broker", "writer", "collector", "dashboard"} | {
    f"dagster-{part}" for part in ("code", "page", "daemon")
}


class Up:
    """A running ``lakeward up`` and what it has written so far."""

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        self.home = home
        self.output = home.parent / f"{home.name}-{time.monotonic_ns()}.txt"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LAKEWARD_", "KAFKA_"))},
            "LAKEWARD_HOME": str(home),
            "COLUMNS": "200",
            **variables,
        }
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lakeward", "up", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=home.parent,
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"it ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"it did not happen:\n{self.said()}"
            time.sleep(0.2)

    def wait_until_up(self) -> None:
        self.wait_for(lambda: "Ctrl-C stops everything." in self.said())

    def pids(self) -> dict[str, int]:
        lines = [line.split() for line in self.said().splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) > 2 and words[1].isdigit()}

    @property
    def page(self) -> DagsterPage:
        return DagsterPage(self.address_of("dagster-page"))

    def address_of(self, name: str) -> str:
        found = re.search(rf"^{name} .*(http://\S+)", self.said(), re.MULTILINE)
        assert found is not None, self.said()
        return found[1]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*options: str) -> Up:
        started.append(Up(tmp_path / "home", *options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def session_members(pid: int) -> set[int]:
    """Return every living process whose session is that of ``pid``."""
    members = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            members.add(int(entry.name))
    return members


def living(pids: dict[str, int]) -> set[int]:
    """Return the processes of ``pids`` and all that they started, as far as they live."""
    return {member for pid in pids.values() for member in session_members(pid)}


def wait_until_gone(pids: dict[str, int]) -> None:
    """Return when nothing of them lives: what was killed may take a moment to end."""
    deadline = time.monotonic() + PATIENCE_S
    while living(pids):
        assert time.monotonic() < deadline, living(pids)
        time.sleep(0.2)


def accepted(request: Request) -> int:
    """Return how many events of a request the collector took."""
    try:
        with urlopen(request, timeout=30) as answer:
            return int(json.load(answer)["accepted"])
    except HTTPError as refused:
        if refused.code != 401:
            raise
        return 0


def bronze_rows(home: Path) -> int:
    found = inventory(Lake(str(home / "lake")), "bronze")
    return sum(one.rows or 0 for one in found if isinstance(one, TableFacts))


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc, so Linux only")
def test_up_from_the_first_start_to_a_crash(up: Callable[..., Up]) -> None:
    """One long test, because each start of everything takes many seconds."""
    # It comes up: a table of what runs, and Dagster's page lists the assets.
    first = up("--generate", "--rate", "3000")
    first.wait_until_up()
    pids = first.pids()
    assert set(pids) == PROCESSES | {"generator"}
    assert first.page.load_errors() == []
    nodes = first.page.ask(ASSETS)["assetNodes"]
    assert {"kafka", "bronze", "silver", "gold"} <= {node["groupName"] for node in nodes}
    first.wait_for(lambda: bronze_rows(first.home) > 100)

    # The writer's metrics are where the table says.
    with urlopen(first.address_of("writer"), timeout=30) as answer:
        written = re.search(
            rb'^lakeward_writer_rows_total\{contract="clickstream",.*\} (\S+)$',
            answer.read(),
            re.MULTILINE,
        )
    assert written is not None
    assert float(written[1]) > 0

    # Who watches is told that Dagster's page is well, and its daemons once they have begun.
    page = first.address_of("dagster-page")
    parts = {("page",), ("sensor",), ("scheduler",)}
    first.wait_for(lambda: parts <= {one.labels for one in ask_dagster(page) if one.value})

    # A second one for the same home is refused.
    other = up()
    assert other.process.wait(timeout=PATIENCE_S) == 2
    assert f"already runs for {first.home} (process {first.process.pid})" in other.said()

    # Ctrl-C leaves no process, and nothing that was in Kafka is missing in the lake.
    assert len(living(pids)) > len(pids)
    assert first.stop(signal.SIGINT) == 0
    wait_until_gone(pids)
    assert "everything has stopped" in first.said()
    for name in ("writer", "dagster-code", "dagster-page", "dagster-daemon", "generator"):
        assert (first.home / "logs" / f"{name}.log").exists()
    lake = Lake(str(first.home / "lake"))
    report = audit(lake)
    assert report.is_clean
    kept = bronze_rows(first.home)
    assert kept == report.rows
    assert CleanStop.path(first.home).exists()

    # The next one goes on with a new embedded broker, without a question and without a loss.
    second = up("--generate", "--rate", "3000")
    second.wait_until_up()
    assert "gap" not in second.said()
    second.wait_for(lambda: bronze_rows(second.home) > kept + 100)
    assert audit(lake).is_clean

    # Killed, it takes its processes along; what was in the broker is lost, and nobody hides it.
    pids = second.pids()
    second.process.kill()
    second.process.wait()
    wait_until_gone(pids)
    third = up()
    assert third.process.wait(timeout=PATIENCE_S) == 2
    assert "the topic was deleted and made again" in third.said()
    assert "--accept-gap" in third.said()
    wait_until_gone(third.pids())

    fourth = up("--accept-gap")
    fourth.wait_until_up()

    # What it says of HTTP is enough to send an event, which is in bronze when it has stopped.
    url = fourth.address_of("collector")
    assert f"events by HTTP: {url}/docs shows how; `lakeward tenant create NAME`" in fourth.said()
    made = subprocess.run(
        [sys.executable, "-m", "lakeward", "tenant", "create", "newcomer"],
        env={**os.environ, "LAKEWARD_HOME": str(fourth.home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    at = datetime.now(UTC).isoformat()
    event = {"event_id": "first", "event_type": "signup", "occurred_at": at, "user_id": "u-1"}
    request = Request(
        f"{url}/analytics",
        json.dumps({"payload": event}).encode(),
        {"X-Write-Key": made.stdout.strip()},
    )
    fourth.wait_for(lambda: accepted(request) == 1)  # a new tenant is known within seconds
    assert fourth.stop(signal.SIGTERM) == 0
    rows = lake.open("bronze", "app_events").to_pyarrow_table(columns=["tenant_id", "event_id"])
    assert {"tenant_id": "newcomer", "event_id": "first"} in rows.to_pylist()


def test_a_port_that_is_taken_is_refused_before_anything_starts(up: Callable[..., Up]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = up("--port", str(port))
        assert refused.process.wait(timeout=PATIENCE_S) == 2
    assert f"port {port} of 127.0.0.1 is in use" in refused.said()
    assert not (refused.home / "logs").exists()


def test_a_broker_that_does_not_answer_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        **os.environ,
        "LAKEWARD_HOME": str(tmp_path / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "lakeward", "up"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 2
    assert "cannot reach Kafka at 127.0.0.1:1" in ended.stderr
    assert not (tmp_path / "home" / "logs").exists()
