"""Builds beside builds and readers beside builds: nothing doubles, nobody sees a half table."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake import build_write, model_table
from lake.duck import connect, delta_scan

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from pathlib import Path
from lake.dbt_run import run_dbt
result = run_dbt(["build", "--select", "sites", "stg_clickstream"],
                 home=Path(sys.argv[1]), lake_root=sys.argv[2])
sys.exit(0 if result.succeeded else 1)
"""


@pytest.fixture
def lake(spine: Any) -> Any:
    """Builds of a few models: a build of all takes several times as long and shows no more here."""
    return spine


def build_elsewhere(lake: Any) -> None:
    subprocess.run(
        [sys.executable, "-c", BUILD, str(lake.folder / "elsewhere"), lake.lake.root],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=True,
    )


@pytest.mark.parametrize("built_before", [False, True])
def test_of_two_builds_at_once_one_fails_and_nothing_is_doubled(
    lake: Any,
    page_view: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    built_before: bool,
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    if built_before:
        lake.build("--select", "sites", "stg_clickstream")
        lake.add("clickstream", [page_view("e2", lake.now)])
    write = build_write.write

    def write_late(cursor: Any, plan: Any, *rest: Any, **named: Any) -> Any:
        if plan.own.name == "stg_clickstream":
            build_elsewhere(lake)
        return write(cursor, plan, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr("lake.dbt_plugin.write", write_late)
        result = lake.dbt("build", "--select", "sites", "stg_clickstream")
    assert not result.succeeded
    message = result.node("stg_clickstream").message
    assert "another build" in message or "already exists" in message
    expected = 2 if built_before else 1
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(expected,)]
    assert lake.build("--select", "stg_clickstream").node("stg_clickstream").rows == 0
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(expected,)]


@pytest.mark.parametrize("refresh", [False, True])
def test_compaction_beside_a_build_brings_no_row_back(
    lake: Any,
    page_view: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    refresh: bool,
) -> None:
    for number in range(3):
        lake.add("clickstream", [page_view(f"e{number}", lake.now)])
        lake.build("--select", "sites", "stg_clickstream")
    lake.add("clickstream", [page_view("e3", lake.now)])
    write_deltalake = model_table.write_deltalake

    def write_after_compaction(table: Any, *args: Any, **options: Any) -> None:
        if table.metadata().name == "silver.stg_clickstream":
            lake.open("silver.stg_clickstream").optimize.compact()
        write_deltalake(table, *args, **options)

    words = ("--full-refresh",) if refresh else ()
    with monkeypatch.context() as patch:
        patch.setattr(model_table, "write_deltalake", write_after_compaction)
        lake.dbt("run", "--select", "stg_clickstream", *words)
    lake.build("--select", "stg_clickstream")
    assert lake.select("select event_id from {silver.stg_clickstream} order by 1") == [
        ("e0",),
        ("e1",),
        ("e2",),
        ("e3",),
    ]


def test_a_reader_beside_a_build_sees_each_table_before_or_after_it(
    lake: Any, chance: Any, feed: Callable[..., None]
) -> None:
    events = chance(23)
    feed(lake, events, 60)
    lake.build()
    tables = {label: lake.lake.uri(*label.split(".")) for label in lake.tables()}
    seen: dict[str, set[int]] = {label: set() for label in tables}
    failures: list[Exception] = []
    stop = threading.Event()
    looks = 0

    def read() -> None:
        nonlocal looks
        with connect(lake.lake) as connection:
            while not stop.is_set():
                for label, uri in tables.items():
                    try:
                        sql = f"select bit_xor(hash(t)) from {delta_scan(uri)} as t"
                        found = connection.execute(sql).fetchone()
                    except Exception as error:  # noqa: BLE001 - any error fails the test below
                        failures.append(error)
                        return
                    seen[label].add(found[0] if found else 0)
                looks += 1

    def wait_for_a_look() -> None:
        """Return when the reader has read every table from now on."""
        wanted = looks + 2
        while looks < wanted and reader.is_alive():
            time.sleep(0.01)

    def states() -> dict[str, Any]:
        return {
            label: lake.select(f"select bit_xor(hash(t)) from {delta_scan(uri)} as t")[0][0]
            for label, uri in tables.items()
        }

    whole = [states()]
    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_for_a_look()
        for _ in range(2):
            feed(lake, events, 60)
            lake.build()
            whole.append(states())
        wait_for_a_look()
    finally:
        stop.set()
        reader.join()
    assert failures == []
    for label, hashes in seen.items():
        assert hashes <= {state[label] for state in whole}, label
    assert len(seen["gold.fct_metrics_60m"]) > 1
