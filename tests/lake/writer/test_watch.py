"""What a scrape of a writer shows, and what its health checks answer."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from prometheus_client.parser import text_string_to_metric_families

import lake.writer.watch
from ingest.contracts.reasons import REASONS
from ingest.listen_address import ListenAddress
from lake.errors import MetricsAddressError
from lake.writer import metrics
from lake.writer.health import HUNG_SECONDS
from lake.writer.messages import Messages
from lake.writer.metrics_server import serving
from lake.writer.sink import Flushed
from lake.writer.source import Source
from lake.writer.watch import WriterWatch
from tests.lake.writer.bench import CONTRACT

TOPIC = "visits-topic"
P0 = Source(TOPIC, "id-1", 0)
P1 = Source(TOPIC, "id-1", 1)


@dataclass
class Time:
    """A clock that a test moves."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def watch(clock: Time) -> WriterWatch:
    return WriterWatch({TOPIC: "visits"}, clock=clock, wall=clock)


@pytest.fixture
def table(tmp_path: Path) -> DeltaTable:
    """A table of two files, at version 1."""
    uri = str(tmp_path / "visits")
    for n in range(2):
        write_deltalake(uri, pa.table({"a": [n]}), mode="append")
    return DeltaTable(uri)


@pytest.fixture
def get(watch: WriterWatch) -> Any:
    """Asks the watch's HTTP server: path to (status, content type, body)."""
    with serving(watch, ListenAddress("127.0.0.1", 0)) as address:

        def ask(path: str, method: str = "GET") -> tuple[int, str, str]:
            request = urllib.request.Request(f"http://{address}{path}", method=method)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.headers["Content-Type"], answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers["Content-Type"], error.read().decode()

        yield ask


Get = Callable[[str], tuple[int, str, str]]


def series(get: Get) -> dict[str, float]:
    """Every sample of a scrape, by name and labels as a person would write them."""
    status, kind, body = get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def messages(*rows: tuple[int, int, int]) -> Messages:
    """Messages as (partition, offset, timestamp in ms)."""
    partition, offset, stamp = zip(*rows, strict=True)
    none = pa.nulls(len(rows), pa.binary())
    return Messages(
        topic=TOPIC,
        topic_id="id-1",
        partition=pa.array(partition, pa.int32()),
        offset=pa.array(offset, pa.int64()),
        appended_at=pa.array([s * 1000 for s in stamp]).cast(pa.timestamp("us", "UTC")),
        key=none,
        value=none,
    )


def test_what_a_flush_brought_is_counted(get: Get, watch: WriterWatch, clock: Time) -> None:
    watch.handed_over()
    clock.at += 2.0
    watch.handed_over()
    watch.flushed(
        Flushed(
            TOPIC,
            4000,
            landed={P0: 9},
            fenced=frozenset({P1}),
            messages=10,
            rows=7,
            dead=Counter({"not_json": 2, "unknown_tenant": 1}),
            rescued_fields=5,
        )
    )
    shown = series(get)
    of = "contract=visits"
    assert shown[f"lakeward_writer_messages_total{{{of},topic={TOPIC}}}"] == 10
    assert shown[f"lakeward_writer_rows_total{{{of},topic={TOPIC}}}"] == 7
    assert shown[f"lakeward_writer_payload_bytes_total{{{of},topic={TOPIC}}}"] == 4000
    assert shown[f"lakeward_writer_rescued_fields_total{{{of},topic={TOPIC}}}"] == 5
    dead = {
        r: shown[f"lakeward_writer_dead_letters_total{{{of},reason={r},topic={TOPIC}}}"]
        for r in REASONS
    }
    assert dead == {**dict.fromkeys(REASONS, 0), "not_json": 2, "unknown_tenant": 1}
    assert shown[f"lakeward_writer_fences_total{{{of},partition=1,topic={TOPIC}}}"] == 1
    assert shown[f"lakeward_writer_flush_seconds_sum{{{of},topic={TOPIC}}}"] == 2.0
    assert shown[f"lakeward_writer_flush_seconds_bucket{{{of},le=1.0,topic={TOPIC}}}"] == 0
    assert shown[f"lakeward_writer_flush_seconds_bucket{{{of},le=2.5,topic={TOPIC}}}"] == 1


def test_the_lag_is_worked_out_when_it_is_asked_for(
    get: Get, watch: WriterWatch, clock: Time
) -> None:
    watch.began(P0, 0)
    watch.began(P1, 5)
    watch.polled(messages((0, 0, 990_000), (1, 5, 999_000), (0, 1, 995_000)))
    watch.heard({P0: 2, P1: 10})

    def lag(what: str) -> dict[str, float]:
        name = f"lakeward_writer_lag_{what}{{contract=visits,partition="
        return {n[len(name)]: v for n, v in series(get).items() if n.startswith(name)}

    assert lag("messages") == {"0": 2, "1": 5}
    assert lag("seconds") == {"0": 10.0, "1": 1.0}
    clock.at += 5
    assert lag("seconds") == {"0": 15.0, "1": 6.0}
    watch.flushed(Flushed(TOPIC, 0, landed={P0: 1, P1: 5}, fenced=frozenset()))
    watch.heard({P0: 2, P1: 10})
    clock.at += 3
    assert lag("messages") == {"0": 0, "1": 4}
    assert lag("seconds") == {"0": 0.0, "1": 3.0}
    assert series(get)["lakeward_writer_partitions{}"] == 2
    watch.dropped(P1)
    assert lag("messages") == {"0": 0}
    assert series(get)["lakeward_writer_partitions{}"] == 1


def test_commits_and_their_troubles_are_counted_by_table(
    get: Get, watch: WriterWatch, clock: Time, table: DeltaTable, tmp_path: Path
) -> None:
    assert series(get)["lakeward_writer_lake_available{}"] == 1
    watch.conflict("visits", "the store is away")
    assert series(get)["lakeward_writer_lake_available{}"] == 0
    watch.committed("visits", 0.3, table)
    shown = series(get)
    assert shown["lakeward_writer_lake_available{}"] == 1
    assert shown["lakeward_writer_commit_conflicts_total{table=visits}"] == 1
    assert shown["lakeward_writer_commit_seconds_count{table=visits}"] == 1
    assert shown["lakeward_writer_last_commit_timestamp_seconds{table=visits}"] == clock.at
    assert shown["lakeward_writer_table_version{table=visits}"] == 1
    assert shown["lakeward_writer_table_files{table=visits}"] == 2
    size = sum(file.stat().st_size for file in (tmp_path / "visits").glob("*.parquet"))
    assert shown["lakeward_writer_table_size_bytes{table=visits}"] == size


def test_files_are_counted_the_less_often_the_more_there_are(
    get: Get, watch: WriterWatch, clock: Time, table: DeltaTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake.writer.watch, "PAUSE_PER_FILE_SECONDS", 10.0)

    def files() -> float:
        return series(get)["lakeward_writer_table_files{table=visits}"]

    watch.committed("visits", 0.1, table)
    write_deltalake(table, pa.table({"a": [3]}), mode="append")
    clock.at += 19
    watch.committed("visits", 0.1, table)
    assert files() == 2
    clock.at += 1
    watch.committed("visits", 0.1, table)
    assert files() == 3
    write_deltalake(table, pa.table({"a": [4]}), mode="append")
    clock.at += 29
    watch.committed("visits", 0.1, table)
    assert files() == 3
    clock.at += 1
    watch.committed("visits", 0.1, table)
    assert files() == 4


def test_memory_and_pauses_show(get: Get, watch: WriterWatch) -> None:
    watch.turned(polled_bytes=10, committing_bytes=20, partitions=None, waiting=0)
    watch.paused(True)
    shown = series(get)
    assert shown["lakeward_writer_buffer_bytes{stage=polled}"] == 10
    assert shown["lakeward_writer_buffer_bytes{stage=committing}"] == 20
    assert shown["lakeward_writer_paused{}"] == 1
    watch.paused(False)
    assert series(get)["lakeward_writer_paused{}"] == 0


def everything(watch: WriterWatch, table: DeltaTable) -> None:
    """Let every metric have a sample."""
    watch.began(P0, 0)
    watch.heard({P0: 1})
    watch.handed_over()
    watch.flushed(Flushed(TOPIC, 0, landed={}, fenced=frozenset({P0})))
    watch.conflict("visits", "away")
    watch.committed("visits", 0.1, table)
    watch.under(replace(CONTRACT, topic=TOPIC))


def test_a_scrape_shows_what_is_defined_and_nothing_else_of_ours(
    get: Get, watch: WriterWatch, table: DeltaTable
) -> None:
    everything(watch, table)
    _, _, body = get("/metrics")
    kinds = dict(re.findall(r"^# TYPE (lakeward_\w+) (\w+)$", body, re.MULTILINE))
    assert kinds == {d.name: d.kind for d in metrics.DEFINITIONS}
    helps = dict(re.findall(r"^# HELP (lakeward_\w+) (.*)$", body, re.MULTILINE))
    assert helps == {d.name: d.meaning for d in metrics.DEFINITIONS}
    for definition in metrics.DEFINITIONS:
        suffix = "_count" if definition.kind == "histogram" else ""
        sample = re.search(rf"^{definition.name}{suffix}(\{{.*\}})? ", body, re.MULTILINE)
        assert sample is not None, definition.name
        assert set(re.findall(r'(\w+)="', sample[0])) == set(definition.labels)
    assert "_created" not in body
    assert "process_resident_memory_bytes" in body


def test_names_keep_to_the_conventions_of_prometheus() -> None:
    for definition in metrics.DEFINITIONS:
        assert re.fullmatch(r"lakeward_[a-z_]+", definition.name)
        assert definition.name.endswith("_total") == (definition.kind == "counter")
        assert bool(definition.buckets) == (definition.kind == "histogram")
        assert definition.meaning.endswith(".") or definition.meaning.endswith("why.")
        assert set(definition.labels) <= {
            *("contract", "topic", "partition", "reason", "table", "stage", "version")
        }
    assert len({d.name for d in metrics.DEFINITIONS}) == len(metrics.DEFINITIONS)


def test_two_writers_in_one_process_count_apart() -> None:
    one, other = (WriterWatch({TOPIC: "visits"}) for _ in range(2))
    one.flushed(Flushed(TOPIC, 0, landed={}, fenced=frozenset(), messages=3))
    labels = {"contract": "visits", "topic": TOPIC}
    counted = [w.registry.get_sample_value(metrics.MESSAGES.name, labels) for w in (one, other)]
    assert counted == [3, 0]


# -- health


def failing(get: Get, path: str) -> dict[str, str]:
    """The checks that fail, with why; the status and the document agree with them."""
    status, kind, body = get(path)
    assert kind == "application/json"
    document = json.loads(body)
    bad = {check["name"]: check["why"] for check in document["checks"] if not check["ok"]}
    assert (status, document["status"]) == ((503, "failing") if bad else (200, "ok"))
    return bad


def test_a_writer_that_begins_is_alive_and_not_ready(get: Get) -> None:
    assert failing(get, "/healthz") == {}
    assert failing(get, "/readyz") == {
        "partitions": "has not joined its group yet, or joins it again"
    }


@pytest.mark.parametrize("partitions", [0, 3])
def test_a_writer_with_partitions_and_one_that_stands_by_are_ready(
    get: Get, watch: WriterWatch, partitions: int
) -> None:
    watch.turned(polled_bytes=0, committing_bytes=0, partitions=partitions, waiting=0)
    assert failing(get, "/readyz") == {}
    assert series(get)["lakeward_writer_ready{}"] == 1


def test_a_writer_that_lost_its_place_in_the_group_is_not_ready(
    get: Get, watch: WriterWatch
) -> None:
    watch.health.member(3)
    watch.health.member(None)
    assert list(failing(get, "/readyz")) == ["partitions"]
    assert failing(get, "/healthz") == {}
    assert series(get)["lakeward_writer_ready{}"] == 0


def test_partitions_that_cannot_begin_make_it_not_ready(get: Get, watch: WriterWatch) -> None:
    watch.health.member(3, waiting=2)
    assert failing(get, "/readyz") == {
        "partitions": "2 of 3 partitions wait for the lake or Kafka before they can begin"
    }


def test_a_lake_or_a_kafka_that_is_away_makes_it_not_ready_until_it_answers(
    get: Get, watch: WriterWatch
) -> None:
    watch.health.member(3)
    watch.conflict("visits", "no space left on device")
    watch.health.kafka("all brokers are down")
    assert failing(get, "/readyz") == {
        "lake": "no space left on device",
        "kafka": "all brokers are down",
    }
    assert failing(get, "/healthz") == {}, "a restart would not help"
    watch.settled()
    watch.health.kafka(None)
    assert failing(get, "/readyz") == {}


def test_a_poll_loop_that_hangs_is_not_alive(get: Get, watch: WriterWatch, clock: Time) -> None:
    watch.turned(polled_bytes=0, committing_bytes=0, partitions=3, waiting=0)
    clock.at += HUNG_SECONDS
    assert failing(get, "/healthz") == {}
    clock.at += 1
    assert failing(get, "/healthz") == {"poll_loop": "has not turned for 121 s (limit 120 s)"}
    assert "poll_loop" in failing(get, "/readyz")


def test_a_writer_whose_committer_ended_is_not_alive(get: Get, watch: WriterWatch) -> None:
    watch.health.member(3)
    watch.health.failed("9,000 of 10,000 messages are dead letters")
    expected = {"committer": "9,000 of 10,000 messages are dead letters"}
    assert failing(get, "/healthz") == expected
    assert failing(get, "/readyz") == expected


def test_a_writer_that_drains_at_its_end_is_alive_and_not_ready(
    get: Get, watch: WriterWatch, clock: Time
) -> None:
    watch.health.member(3)
    watch.health.ending()
    clock.at += 10 * HUNG_SECONDS
    assert failing(get, "/healthz") == {}
    assert list(failing(get, "/readyz")) == ["partitions"]


# -- the server


def test_other_paths_are_not_found_and_head_has_no_body(get: Any) -> None:
    assert get("/")[0] == 404
    assert get("/metrics/../etc/passwd")[0] == 404
    assert get("/healthz", "HEAD") == (200, "application/json", "")
    assert get("/metrics", "POST")[0] == 501
    assert get("/readyz?verbose=1")[0] == 503


def test_a_port_that_is_taken_is_a_clear_error(watch: WriterWatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(MetricsAddressError, match=f"127.0.0.1:{port}.*in use") as caught,
            serving(watch, ListenAddress("127.0.0.1", port)),
        ):
            pass
    assert "--metrics-address" in str(caught.value)


def test_the_port_is_free_again_afterwards(watch: WriterWatch) -> None:
    with serving(watch, ListenAddress("127.0.0.1", 0)) as address:
        pass
    with serving(watch, address):
        pass
