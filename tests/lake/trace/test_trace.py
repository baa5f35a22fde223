"""An event's life is told from the writer's rows, dbt's tables and a replay, as they really are."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from typer.testing import CliRunner

from ingest.contracts.registry import ContractSet, load_contracts
from lake.dbt_run import run_dbt
from lake.dead_letters.mending import parse_mending
from lake.dead_letters.plan import ReplayPlan
from lake.dead_letters.replay import replay
from lake.dead_letters.selection import Selection
from lake.tables import Lake
from lake.trace.life import Life, trace
from lakeward.__main__ import build_app
from tests.dbt.conftest import NO_TESTS
from tests.lake.writer.bench import MADE_AT, P0, Bench, batch, raw
from tests.object_stores.files import files, paths

CLICKSTREAM = load_contracts(None).by_name("clickstream")
DAY = datetime.fromtimestamp(MADE_AT[1] / 1000, UTC)
MENDING = parse_mending(
    {"steps": [{"set": {"path": "$.timestamp", "letter": "appended_at"}}]}, "test"
)


def click(offset: int, event_id: str, **more: Any) -> Message:
    names = {field.name: field.payload_name for field in CLICKSTREAM.fields}
    event = {
        "tenant_id": "acme",
        "event_id": event_id,
        "session_id": "s1",
        "event_type": "page_view",
        "occurred_at": DAY.isoformat(),
        "request_id": f"request-of-{event_id}",
        "write_key_id": "k-1",
        **more,
    }
    told = {names[name]: value for name, value in event.items() if value is not None}
    return raw(P0, offset, json.dumps(told).encode())


@pytest.fixture(scope="module")
def bench(on_disk: Bench, make_lake: Callable[[], Lake]) -> Bench:
    """A lake with all of that, where it was made, and copied to an object store."""
    copy = make_lake()
    if not copy.is_remote:
        return on_disk
    for path in paths(on_disk.lake):
        with files(copy).open_output_stream(path) as out:
            out.write((Path(on_disk.lake.root) / path).read_bytes())
    return Bench(copy)


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Events of every fate, a replay, a build, and one event that came after it."""
    made = Bench.at(tmp_path_factory.mktemp("trace"))
    sink = made.sink(CLICKSTREAM)
    made.take_over(sink, P0)
    messages = [
        click(0, "once"),
        click(1, "twice"),
        click(2, "twice"),
        click(3, "odd", event_type="dance"),
        click(4, "late", occurred_at=None),
        click(5, "dead", occurred_at=None),
    ]
    sink.write(batch((P0, None, messages)))
    replay(
        made.lake,
        ContractSet((CLICKSTREAM,)),
        None,
        ReplayPlan(Selection(first_offset=4, last_offset=4), MENDING),
        "run-1",
        now=lambda: datetime.now(UTC),
    )
    models = ("sites", "stg_clickstream", "stg_rejected_events", "fct_page_performance")
    built = run_dbt(
        ["build", *NO_TESTS, "--select", *models],
        home=Path(made.lake.root).parent,
        lake_root=made.lake.root,
    )
    assert built.succeeded, [(node.label, node.message) for node in built.failures()]
    sink.write(batch((P0, 5, [click(6, "fresh")])))
    return made


def life_of(bench: Bench, event_id: str) -> Life:
    return trace(bench.lake, load_contracts(None), event_id)


def test_a_row_is_followed_from_its_request_to_its_gold_buckets(bench: Bench) -> None:
    (row,) = life_of(bench, "once").rows
    assert (row.bronze.source, row.bronze.offset) == (P0, 0)
    assert (row.bronze.request_id, row.bronze.write_key_id) == ("request-of-once", "k-1")
    assert row.bronze.versions is not None
    first, last = row.bronze.versions
    assert first == last
    brought = bench.lake.open("bronze", "clickstream", first).file_uris()
    assert row.bronze.file in {uri.rpartition("clickstream/")[2] for uri in brought}
    assert row.bronze.file not in str(bench.lake.open("bronze", "clickstream", 0).file_uris())
    assert (row.silver.fate, row.silver.event_date) == ("row", DAY.date())
    assert [(b.table, b.day, b.is_behind) for b in row.gold if b.rows] == [
        ("gold.fct_page_performance", DAY.date(), False)
    ]


def test_a_duplicate_names_the_one_that_came_first(on_disk: Bench) -> None:
    rows = life_of(on_disk, "twice").rows
    fates = {row.bronze.offset: (row.silver.fate, row.silver.first) for row in rows}
    assert fates == {1: ("row", None), 2: ("duplicate", ("visits", 0, 1))}


def test_a_rejected_row_says_why(on_disk: Bench) -> None:
    (row,) = life_of(on_disk, "odd").rows
    assert (row.silver.fate, row.silver.reason) == ("rejected", "not_allowed:event_type")


def test_a_replayed_letter_is_told_with_the_row_that_it_became(bench: Bench) -> None:
    life = life_of(bench, "late")
    (row,) = life.rows
    assert row.bronze.replay is not None
    assert row.bronze.replay.run_id == "run-1"
    assert row.bronze.offset == 4
    # it counts in the bucket of the day on which it came into Kafka, long over
    assert (row.silver.fate, row.silver.event_date) == ("row", DAY.date())
    assert row.gold
    (letter,) = life.letters
    assert (letter["standing"], letter["all_attempts"]) == ("replayed", 2)


def test_a_dead_letter_and_a_row_that_no_build_has_read_are_told(on_disk: Bench) -> None:
    life = life_of(on_disk, "dead")
    assert not life.rows
    assert [letter["reason"] for letter in life.letters] == ["missing_required"]
    (row,) = life_of(on_disk, "fresh").rows
    assert row.silver.fate == "not_built"
    assert life_of(on_disk, "nothing of the kind").is_unknown


def test_the_command_tells_it_to_people_and_programs(
    on_disk: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAKEWARD_LAKE_ROOT", on_disk.lake.root)
    monkeypatch.setenv("LAKEWARD_HOME", str(tmp_path))
    told = CliRunner().invoke(build_app(), ["trace", "late"])
    assert told.exit_code == 0, told.output
    for part in (
        "request-of-late",
        "visits:0:4",
        "replayed mended by run run-1",
        "gold.fct_page_perf",
    ):
        assert part in told.output
    as_json = CliRunner().invoke(build_app(), ["trace", "late", "--json"])
    document = json.loads(as_json.stdout)
    assert document["rows"][0]["kafka"]["offset"] == 4
    assert "payload" not in document["dead_letters"][0]
    other = CliRunner().invoke(build_app(), ["trace", "late", "--tenant", "zeta"])
    assert other.exit_code == 1
