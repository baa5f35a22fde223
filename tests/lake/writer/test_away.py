"""The lake goes away and comes back: the writer waits, says so, and loses nothing."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

import lake.writer.commit
import lake.writer.loop
import lake.writer.partitions
from ingest.errors import BrokerError
from lake.errors import CommitError, LakePathError
from lake.tables import Lake, read_rows
from lake.writer.commit import BACKOFF_SECONDS
from lake.writer.partitions import Partitions
from lake.writer.patience import Patience
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.bench import Bench
from tests.lake.writer.rig import Rig, wait
from tests.lake.writer.test_commit import P0, FailingWrite, rows, span
from tests.object_stores.seaweed import SeaweedFs


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.at(tmp_path)


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage of a second is then a long one."""
    monkeypatch.setattr(lake.writer.commit, "BACKOFF_SECONDS", (0.0, 0.05))
    monkeypatch.setattr(lake.writer.commit, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(lake.writer.partitions, "BEGIN_AGAIN_SECONDS", (0.1,))


def test_a_commit_is_tried_until_the_lake_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lake.writer.commit, "LONGEST_PAUSE_SECONDS", 0.0)
    table = bench.table("visits")
    failing = FailingWrite(len(BACKOFF_SECONDS) + 12, lands=False, error=OSError("disk full"))
    monkeypatch.setattr(lake.writer.commit, "write_deltalake", failing)
    patience = Patience(threading.Event())
    with caplog.at_level(logging.WARNING, "lake"):
        outcome = table.commit([span(P0, None, 0)], rows((P0, 0)), patience=patience)
    assert outcome.landed == {P0}
    assert bench.offsets() == [(0, 0)]
    assert caplog.messages.count("lake_away") == 13
    assert caplog.messages.count("lake_back") == 1


def test_a_commit_that_landed_in_a_long_outage_is_not_made_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake.writer.commit, "LONGEST_PAUSE_SECONDS", 0.0)
    table = bench.table("visits")
    calls = 0

    def write(handle: DeltaTable, *args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == len(BACKOFF_SECONDS) + 3:
            write_deltalake(DeltaTable(handle.table_uri), *args, **kwargs)
        raise OSError("no answer")

    monkeypatch.setattr(lake.writer.commit, "write_deltalake", write)
    patience = Patience(threading.Event())
    assert table.commit([span(P0, None, 0)], rows((P0, 0)), patience=patience).landed == {P0}
    assert bench.offsets() == [(0, 0)]


def test_a_writer_that_is_asked_to_stop_gives_up_on_a_lake_that_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = bench.table("visits")
    monkeypatch.setattr(
        lake.writer.commit, "write_deltalake", FailingWrite(10**6, lands=False, error=OSError("x"))
    )
    stop = threading.Event()
    stop.set()
    with pytest.raises(CommitError, match=f"{len(BACKOFF_SECONDS)} tries"):
        table.commit([span(P0, None, 0)], rows((P0, 0)), patience=Patience(stop))


def test_a_file_that_cannot_be_read_is_told_as_an_unreachable_lake(bench: Bench) -> None:
    """deltalake raises a plain ``Exception`` there, which ended the writer with a traceback."""
    table = bench.table("visits")
    table.commit([span(P0, None, 0)], rows((P0, 0)))
    opened = bench.lake.open("bronze", "visits")
    for file in Path(bench.lake.uri("bronze", "visits")).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(LakePathError, match="cannot read the table"):
        read_rows(opened)


def test_a_log_that_cannot_be_read_is_told_as_an_unreachable_lake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may go between the opening of a table and the look at another's last commits."""
    table = bench.table("visits")
    bench.table("visits").commit([span(P0, None, 0)], rows((P0, 0)))

    def history(*_: Any) -> list[dict[str, Any]]:
        raise OSError("Generic S3 error")

    monkeypatch.setattr(DeltaTable, "history", history)
    with pytest.raises(LakePathError, match="cannot read the log of the table"):
        table.reopen()


class GoneWhile:
    """A lake that goes away at a moment when deltalake itself looks for it."""

    def find(self, _: object) -> None:
        raise OSError("Generic S3 error")

    def offered(self, _: object) -> None:
        pass


def test_a_lake_that_goes_while_partitions_are_taken_over_is_told_and_no_traceback() -> None:
    partitions = Partitions(
        Any,  # type: ignore[arg-type]
        GoneWhile(),  # type: ignore[arg-type]
        GoneWhile(),  # type: ignore[arg-type]
        is_idle=lambda: True,
        forget=lambda _: None,
        begun=lambda *_: None,
        patience=None,
        clock=lambda: 0.0,
    )
    with pytest.raises(LakePathError, match="Generic S3 error"):
        partitions.begin([("visits", 0)])


@pytest.mark.usefixtures("quick_tries")
def test_a_writer_outlives_its_object_store(
    embedded_kafka: KafkaForTest, object_store: SeaweedFs, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig.make(
        embedded_kafka, lake_root=object_store.root, flush_bytes=4096, flush_seconds=0.05
    )
    with caplog.at_level(logging.INFO, "lake"), rig.writing() as writer:
        rig.produce(100, poison=3)
        rig.wait_for_rows(100)
        object_store.kill()
        rig.produce(600, poison=3)
        wait(lambda: "paused" in caplog.messages, "the writer to pause")
        wait(lambda: "lake_away" in caplog.messages, "the writer to say so")
        writer.wait_for_progress()
        held = writer.progress[-1].buffered
        rig.produce(100)
        writer.wait_for_progress(2)
        assert writer.progress[-1].buffered == held, "a writer that pauses takes nothing in"
        assert writer.failure is None
        object_store.start()
        rig.wait_for_rows(800)
        wait(lambda: "resumed" in caplog.messages, "the writer to go on")
        assert writer.failure is None
        writer.end()
    rig.assert_exactly_once()


@pytest.mark.usefixtures("quick_tries")
def test_partitions_taken_over_while_the_lake_is_away_begin_when_it_is_back(
    apache_kafka: KafkaForTest, object_store: SeaweedFs, caplog: pytest.LogCaptureFixture
) -> None:
    """The reading of positions failed inside librdkafka's callback, and ended the writer."""
    rig = Rig.make(apache_kafka, lake_root=object_store.root, assignment="group", session_seconds=6)
    rig.produce(50, poison=1)
    with caplog.at_level(logging.INFO, "lake"), rig.writing() as one:
        one.wait_for_partitions(2)
        rig.wait_for_rows(50)
        with rig.writing() as two:
            two.wait_for_partitions(1)
            rig.produce(50, poison=1)
            rig.wait_for_rows(100)
            object_store.kill()
            two.stop.set()
            wait(lambda: "cannot_begin" in caplog.messages, "the other writer to take over")
            rig.produce(50, poison=1)
            object_store.start()
        rig.wait_for_rows(150)
        assert one.failure is None
        one.end()
    rig.assert_exactly_once()


@pytest.mark.usefixtures("quick_tries")
def test_a_drain_does_not_wait_for_a_lake_that_is_away(
    embedded_kafka: KafkaForTest, object_store: SeaweedFs
) -> None:
    rig = Rig.make(embedded_kafka, lake_root=object_store.root)
    rig.produce(10)
    rig.drain()
    rig.produce(10)
    object_store.kill()
    with pytest.raises(LakePathError, match="cannot open or make the table"):
        rig.drain()
    object_store.start()
    rig.drain()
    rig.assert_exactly_once()


def test_a_session_that_the_broker_refuses_is_told_and_not_waited_out(
    apache_kafka: KafkaForTest,
) -> None:
    """The writer went on for ever without a partition, and without an error."""
    rig = Rig.make(apache_kafka, assignment="group", session_seconds=1)
    with rig.writing() as writer:
        failure = writer.wait_for_failure()
    assert isinstance(failure, BrokerError)
    assert "LAKEWARD_SESSION_SECONDS" in (failure.hint or "")


def test_an_endpoint_without_tls_needs_no_further_setting(object_store: SeaweedFs) -> None:
    options = Lake(object_store.root).storage_options
    assert options is not None
    assert options["aws_allow_http"] == "true"
    assert options["aws_conditional_put"] == "etag"
