"""Whatever way the events come in, each model ends up as if they had all been there at once.

Generic over the project: a model is covered by being in it. Seeds differ by what is late, doubled,
out of order, in the future or empty, by where the batches are cut, by which model a build dies at
and what is compacted meanwhile. LAKEWARD_TEST_LAKES=20 tries as many seeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.build_run import BuildRun
from lake.dbt_run import backfill_args, parse_project
from lake.maintenance.compaction import compact

SEEDS = range(1, 1 + int(os.environ.get("LAKEWARD_TEST_LAKES", "1")))
ROUNDS = 2
MAY_BE_EMPTY = {"gold.fct_anomalies", "gold.current_active_sessions"}
"""The one judges a moment by days before it that this short history does not have; the other's last
half hour may be one that nothing came for."""
TANGLED = "was compacted and then written again"
"""Why a model that was behind may be made anew."""
BACKFILLED = "were removed or rewritten"
"""Why a model that reads what came may be, when a backfill brought days of it up to now."""
SLICED = {
    *("int_sessions", "int_identity", "int_identity_days", "int_persons"),
    *("fct_funnel", "fct_geo", "fct_page_performance"),
    *(f"fct_metrics_{minutes}m" for minutes in (1, 5, 15, 60)),
}
"""Models that hold much for each of their groups."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every model of the project, from its manifest."""
    home = tmp_path_factory.mktemp("models")
    nodes = parse_project(home=home)["nodes"].values()
    return [node for node in nodes if node["resource_type"] == "model"]


def label(model: dict[str, Any]) -> str:
    return f"{model['schema']}.{model['alias']}"


def day_of(model: dict[str, Any]) -> str | None:
    """Return the date column that a model is partitioned by."""
    columns = model["config"].get("partition_by") or []
    return columns[1] if len(columns) > 1 else None


@pytest.mark.timeout(1200)  # about twelve builds of every model
@pytest.mark.parametrize("seed", SEEDS)
def test_increments_that_die_between_batches_and_compaction_equal_a_full_refresh(
    lake: Any,
    tmp_path: Path,
    chance: Any,
    feed: Callable[..., None],
    same_tables: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    models: list[dict[str, Any]],
    seed: int,
) -> None:
    events = chance(seed)
    pick = events.random
    compared: set[str] = set()
    feed(lake, events, 60)
    lake.build()
    for number in range(ROUNDS):
        feed(lake, events, pick.choice([0, 60]) if number else 60)
        die_in_a_build(lake, pick.choice(models)["alias"], monkeypatch)
        if number == 0:
            feed(lake, events, 40)  # those that were not built have two steps to catch up with
        for table in pick.sample(["bronze.clickstream", *lake.tables()], 8):
            layer, name = table.split(".")
            compact(lake.lake, layer, name, target_size=1 << 20, now=lambda: datetime.now(UTC))
        if number == 1:
            lake.build(*backfill_args(lake.now.date() - timedelta(days=2), lake.now.date()))
        result = lake.build()
        # which models were behind depends on what the threads had built when one of them died
        full = {node.name: node.message for node in result.models() if node.mode == "full"}
        may_be = (TANGLED, BACKFILLED) if number == 1 else (TANGLED,)
        unexplained = {
            name: why for name, why in full.items() if not any(one in why for one in may_be)
        }
        assert not unexplained
        other = lake.copy_bronze_to(tmp_path / f"refresh{number}")
        with monkeypatch.context() as patch:
            if number == 1:  # as if there were so little memory, or so many events
                patch.setattr("lake.slices.BYTES_A_ROW", 1 << 26)
            refreshed = other.build()
        in_slices = {node.name for node in refreshed.models() if "slices" in node.message}
        assert in_slices == (SLICED if number == 1 else set())
        same_tables(lake, other)
        compared |= {table for table in lake.tables() if lake.rows(table)}
    assert {label(model) for model in models} - compared <= MAY_BE_EMPTY
    a_backfill_mends_its_days_and_no_others(lake, models)


def die_in_a_build(lake: Any, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build until ``model`` has been written, and no further."""
    move = BuildRun.move

    def die(run: BuildRun, cursor: Any, old: Any) -> Any:
        if old.name == model:
            raise OSError("the power went")
        return move(run, cursor, old)

    with monkeypatch.context() as patch:
        patch.setattr(BuildRun, "move", die)
        lake.dbt("run", "--fail-fast")


def a_backfill_mends_its_days_and_no_others(lake: Any, models: list[dict[str, Any]]) -> None:
    dated = [(label(m), day_of(m)) for m in models if day_of(m) is not None]
    days = sorted(
        day for (day,) in lake.select("select distinct funnel_date from {gold.fct_funnel}")
    )
    first, last, outside = days[-4], days[-3], days[-2]
    args = backfill_args(first, last)
    versions = lake.versions()
    lake.build(*args)
    assert lake.versions() == versions, "the days were right, and some were written again"

    good = {table: lake.rows(table) for table, _ in dated}
    for table, day in dated:
        lake.open(table).delete(f"{day} between '{first}' and '{last}'")
        if table.startswith("gold."):  # nothing reads gold, so nothing else may mend it
            lake.open(table).delete(f"{day} = '{outside}'")
    lake.build(*args)
    for table, day in dated:
        lost = on_day(lake, good[table], table, day, outside) if table.startswith("gold.") else []
        assert lake.rows(table) == [row for row in good[table] if row not in lost], table
    versions = lake.versions()
    lake.build(*args)
    assert lake.versions() == versions


def on_day(
    lake: Any, rows: list[tuple[Any, ...]], table: str, day: str | None, when: date
) -> list[tuple[Any, ...]]:
    """Return those of ``rows``, which have their columns by name, whose ``day`` is ``when``."""
    columns = sorted(field.name for field in lake.open(table).schema().fields)
    assert day is not None
    return [row for row in rows if row[columns.index(day)] == when]
