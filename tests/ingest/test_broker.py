"""The embedded broker: found while it runs, gone when it stops, clear when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.announcement import Announcement
from ingest.broker import EmbeddedBroker
from ingest.errors import BrokerError
from ingest.kafka import check_reachable, client_config
from ingest.settings import IngestSettings
from tests.kafka_servers.topics import KafkaForTest

PATIENCE_S = 300.0


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def settings_for(home: Path) -> IngestSettings:
    return IngestSettings(_env_file=None, home=home)


def launch(home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lakeward", "broker", *options],
        env={**os.environ, "LAKEWARD_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )


def test_what_is_produced_is_consumed_as_it_was(kafka: KafkaForTest) -> None:
    topic = kafka.unique("round-trip")
    kafka.create_topic(topic, 2)
    kafka.produce(
        topic,
        [
            (b"k", b"one", [("trace", b"\x00\x01"), ("empty", None)], 0),
            (None, b"two", None, 0),
            (b"k", None, None, 1),
        ],
    )
    got = [
        (m.partition(), m.offset(), m.key(), m.value(), m.headers())
        for m in kafka.consume(topic, 3)
    ]
    assert sorted(got, key=lambda row: row[:2]) == [
        (0, 0, b"k", b"one", [("trace", b"\x00\x01"), ("empty", None)]),
        (0, 1, None, b"two", None),
        (1, 0, b"k", None, None),
    ]


def test_nothing_is_dropped_when_a_partition_grows_large(kafka: KafkaForTest) -> None:
    # librdkafka's mock cluster keeps 5 MB a partition and drops the rest without a word.
    topic = kafka.unique("large")
    kafka.create_topic(topic, 1)
    kafka.produce(topic, ((None, b"%08d" % n + b"x" * 300) for n in range(40_000)))
    values = [m.value()[:8] for m in kafka.consume(topic, 40_000)]
    assert values == [b"%08d" % n for n in range(40_000)]


def test_commands_find_the_broker_while_it_runs_and_not_afterwards(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        config = client_config(settings_for(tmp_path))
        assert config == {"bootstrap.servers": broker.bootstrap_servers}
        check_reachable(settings_for(tmp_path))
    assert not Announcement.path(tmp_path).exists()
    with pytest.raises(BrokerError, match="no embedded one runs") as caught:
        client_config(settings_for(tmp_path))
    assert "lakeward broker" in str(caught.value)


def test_a_second_broker_for_the_same_home_is_refused(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        with pytest.raises(BrokerError, match=f"already runs at {broker.bootstrap_servers}"):
            EmbeddedBroker(tmp_path).start()
        check_reachable(settings_for(tmp_path))  # the refusal did the first one no harm
        assert client_config(settings_for(tmp_path))["bootstrap.servers"] == (
            broker.bootstrap_servers
        )


def test_the_file_of_a_broker_that_was_killed_is_ignored(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "broker").mkdir()
    Announcement("127.0.0.1:9", gone.pid).write(tmp_path)
    with pytest.raises(BrokerError, match="no broker"):
        client_config(settings_for(tmp_path))
    with EmbeddedBroker(tmp_path) as broker:
        found = Announcement.read(tmp_path)
        assert found == Announcement(broker.bootstrap_servers, broker.pid or 0)


def test_the_file_counts_for_nothing_when_its_process_id_was_given_to_another(
    tmp_path: Path,
) -> None:
    (tmp_path / "broker").mkdir()
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        Announcement(f"127.0.0.1:{port}", os.getpid()).write(tmp_path)
        assert Announcement.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"bootstrap_servers": "x"}'])
def test_a_damaged_announcement_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "broker").mkdir()
    Announcement.path(tmp_path).write_text(text)
    assert Announcement.read(tmp_path) is None


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "tansu"
    broken.write_text("#!/bin/sh\necho no space left on device >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(broken))
    with pytest.raises(BrokerError, match="ended by itself") as caught:
        EmbeddedBroker(tmp_path).start()
    assert "exit code 3" in str(caught.value)
    assert "no space left on device" in str(caught.value)
    assert not Announcement.path(tmp_path).exists()
    monkeypatch.delenv("CALF_TANSU_BIN")
    with EmbeddedBroker(tmp_path):  # the failed start left nothing that is in the way
        pass


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} of 127.0.0.1 is in use"):
            EmbeddedBroker(tmp_path, port=port).start()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "broker").write_text("a file where the folder should be")
    with pytest.raises(BrokerError, match=str(tmp_path / "broker")):
        EmbeddedBroker(tmp_path).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_on_a_signal_and_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = launch(tmp_path)
    try:
        assert command.stdout is not None
        line = command.stdout.readline()
        document = json.loads(Announcement.path(tmp_path).read_text())
        assert document["bootstrap_servers"] in line
        assert is_alive(document["pid"])
        check_reachable(settings_for(tmp_path))
        command.send_signal(number)
        out, err = command.communicate(timeout=PATIENCE_S)
    finally:
        command.kill()
    assert command.returncode == 0, err
    assert "broker stopped" in out
    assert not is_alive(document["pid"])
    assert not Announcement.path(tmp_path).exists()


def test_a_second_command_says_where_the_first_one_runs(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        command = launch(tmp_path)
        _, err = command.communicate(timeout=PATIENCE_S)
        assert f"already runs at {broker.bootstrap_servers}" in err
    assert command.returncode == 2
    assert "LAKEWARD_HOME" in err


def test_the_command_ends_with_the_reason_when_the_broker_dies(tmp_path: Path) -> None:
    command = launch(tmp_path)
    try:
        assert command.stdout is not None
        command.stdout.readline()
        os.kill(json.loads(Announcement.path(tmp_path).read_text())["pid"], signal.SIGKILL)
        _, err = command.communicate(timeout=PATIENCE_S)
    finally:
        command.kill()
    assert command.returncode == 2
    assert "ended by itself (SIGKILL)" in err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_broker_dies_with_a_command_that_is_killed(tmp_path: Path) -> None:
    command = launch(tmp_path)
    try:
        assert command.stdout is not None
        command.stdout.readline()
        pid = json.loads(Announcement.path(tmp_path).read_text())["pid"]
        assert is_alive(pid)
    finally:
        command.kill()
        command.communicate(timeout=PATIENCE_S)
    wait_for(lambda: not is_alive(pid))
    wait_for(lambda: Announcement.read(tmp_path) is None)
