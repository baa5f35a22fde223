"""The ways to another tenant's data that go through commands about one tenant: none leads there.

The other ways in have tests of their own: keys and payloads in tests/ingest/collector, producers in
tests/lake/writer/test_tenants.py, queries and catalogs in tests/lake/test_tenant_share.py, replays
in tests/lake/dead_letters/test_isolation.py, metrics beside each server's other tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from lakeward.__main__ import build_app
from tests.lake.dead_letters.letterbox import without_time, write_contract
from tests.lake.writer.bench import P0, Bench, batch, raw, visit

THIEF, VICTIM = "thief", "victim"
PRIVATE = "only-the-victims"
LETTERS = 30
"""Of each tenant: more than a trace tells."""

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tenants whose events have the same ids, in bronze, dead letters and silver."""
    folder = tmp_path_factory.mktemp("isolation")
    write_contract(folder / "contracts")
    registry = open_registry(IngestSettings(_env_file=None, home=folder))
    bench = Bench.at(folder)
    sink = bench.sink()
    bench.take_over(sink, P0)
    messages = []
    for tenant, note in ((VICTIM, PRIVATE), (THIEF, "own")):
        registry.create(tenant, who="anna")
        at = len(messages)
        messages.append(visit(P0, at, tenant_id=tenant, event_id="same", note=note))
        names_both = {"tenant_id": tenant, "event_id": "bad", "note": note, "of": {"tenant_id": ""}}
        messages += [without_time(P0, at + 1 + n, **names_both) for n in range(LETTERS)]
    text = json.dumps({"tenant_id": VICTIM, "event_id": "bad", "note": PRIVATE})[:-1]
    messages.append(raw(P0, len(messages), text.encode()))  # nobody could read whose it is
    sink.write(batch((P0, None, messages)))
    rows = [
        {
            "tenant_id": tenant,
            "event_id": "same",
            "event_date": "2026-01-01",
            "_rescued": json.dumps({"note": note}, separators=(",", ":")),
            "_topic": P0.topic,
            "_topic_id": P0.topic_id,
            "_partition": 0,
            "_offset": offset,
        }
        for tenant, note, offset in ((VICTIM, PRIVATE, 0), (THIEF, "own", LETTERS + 1))
    ]
    silver = bench.lake.uri("silver", "stg_visits")
    table = pa.Table.from_pylist(rows)
    write_deltalake(silver, table, partition_by=["tenant_id", "event_date"])
    return folder


@pytest.fixture
def ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(home)
    monkeypatch.setenv("LAKEWARD_HOME", str(home))
    monkeypatch.setenv("LAKEWARD_CONTRACTS_DIR", str(home / "contracts"))
    monkeypatch.setenv("USER", "anna")

    def run(*arguments: str) -> str:
        return CliRunner().invoke(build_app(), arguments).stdout

    return run


@pytest.mark.parametrize(
    "command",
    [
        ["dead-letters", "export", "-"],
        ["dead-letters", "export", "-", "--reason", "missing_required"],
        ["query", "from silver.stg_visits", "--format", "json"],
    ],
)
def test_what_is_told_of_one_tenant_holds_nothing_of_another(ask: Ask, command: list[str]) -> None:
    assert PRIVATE in ask(*command, "--tenant", VICTIM)
    told = ask(*command, "--tenant", THIEF)
    assert "own" in told
    assert PRIVATE not in told
    assert VICTIM not in told


def test_letters_are_listed_and_counted_for_one_tenant(ask: Ask) -> None:
    listed = json.loads(ask("dead-letters", "list", "--tenant", THIEF, "--json", "--limit", "0"))
    assert [one["tenant_id"] for one in listed] == [THIEF] * LETTERS
    counted = json.loads(ask("dead-letters", "stats", "--tenant", THIEF, "--json"))
    assert [one["value"] for one in counted["tenant_id"]] == [THIEF]


def test_a_trace_tells_the_tenants_events_and_is_not_crowded_out_by_others(ask: Ask) -> None:
    rows = json.loads(ask("trace", "same", "--tenant", THIEF, "--json"))["rows"]
    assert [(one["tenant_id"], one["kafka"]["offset"]) for one in rows] == [(THIEF, LETTERS + 1)]
    assert [one["silver"]["fate"] for one in rows] == ["row"]
    letters = json.loads(ask("trace", "bad", "--tenant", THIEF, "--json"))["dead_letters"]
    assert {one["tenant_id"] for one in letters} == {THIEF}
    assert len(letters) == 20
    for event_id in ("same", "bad"):
        told = ask("trace", event_id, "--tenant", THIEF)
        assert THIEF in told or f":{LETTERS + 2}" in told
        assert VICTIM not in told


PATHS = [
    "note",
    "note' or true or '",
    "note') from silver.stg_visits where ('1'='1",
    "note$",
    "*",
    "/note",
]


def test_no_field_of_an_overlay_shows_another_tenants_values(ask: Ask) -> None:
    add = ["contracts", "overlay", "add", "visits", "--tenant", THIEF]
    for number, path in enumerate(PATHS):
        ask(*add, "--field", f"stolen_{number}:string={path}")
    (row,) = json.loads(ask("query", "from silver.stg_visits", "--tenant", THIEF, "-f", "json"))
    stolen = {name: value for name, value in row.items() if name.startswith("stolen_")}
    assert stolen == {f"stolen_{n}": "own" if n == 0 else None for n in range(len(PATHS))}
    (theirs,) = json.loads(ask("query", "from silver.stg_visits", "--tenant", VICTIM, "-f", "json"))
    assert not any(name.startswith("stolen_") for name in theirs)
    ask("catalog", "build", "--tenant", THIEF, "--copy", "--output", "copy.duckdb")
    copy = Path("copy.duckdb").read_bytes()
    assert b"stolen_0" in copy
    assert PRIVATE.encode() not in copy
