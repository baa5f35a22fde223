"""What models count is the same, whatever maintenance did to the tables they read and write."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lake import build_write
from lake.log_files import log_files
from lake.maintenance import compaction
from lake.maintenance.groups import groups
from lake.maintenance.run import Maintained, Options, Table, maintain
from lake.model_table import LOG_PROPERTIES
from tests.dbt.conftest import SPINE, Chance, TestLake, assert_same_tables

NOTHING_KEPT = timedelta(0)
ANY_TWO: tuple[Table, ...] = (("silver", "int_sessions"), ("gold", "fct_funnel"))


def maintained(lake: TestLake, **options: Any) -> dict[str, Maintained]:
    """A round that keeps nothing but what somebody needs, by files of one row group."""
    chosen = {"retention": NOTHING_KEPT, "log_retention": timedelta(days=30), **options}
    done = {one.label: one for one in maintain(lake.lake, Options(2**20, **chosen))}
    assert [one.error for one in done.values() if one.error] == []
    return done


def busy_lake(folder: Path, models: str = "") -> tuple[TestLake, Chance]:
    """Return a lake of which two builds were made, each of nine commits a table."""
    lake, chance = TestLake(folder, models=models), Chance(5)
    for _ in range(2):
        feed(lake, chance)
        lake.build()
    return lake, chance


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestLake, Chance]:
    return busy_lake(tmp_path_factory.mktemp("busy"), SPINE)


@pytest.fixture
def busy(built: tuple[TestLake, Chance], tmp_path: Path) -> tuple[TestLake, Chance]:
    """A busy lake of a model of each kind."""
    lake, chance = built
    return lake.copy_to(tmp_path / "one"), deepcopy(chance)


def feed(lake: TestLake, chance: Chance) -> None:
    for _ in range(9):
        for contract in ("clickstream", "conversions", "registrations"):
            lake.add(contract, chance.batch(contract, lake.now, 8), minutes=3)


def test_increments_after_compaction_and_vacuum_of_all_layers_equal_a_full_refresh(
    tmp_path: Path,
) -> None:
    """Of all models there are: which of them a round of maintenance upsets is not known before."""
    lake, chance = busy_lake(tmp_path / "one")
    feed(lake, chance)  # some of what is moved has been read by the models, some has not
    done = maintained(lake)
    compacted = done["bronze.clickstream"].compacted
    assert compacted is not None
    assert compacted.files_merged >= 27
    vacuumed = done["bronze.clickstream"].vacuumed
    assert vacuumed is not None
    assert vacuumed.kept_hours > 0, "what the models have not read must be kept"
    result = lake.build()
    assert {node.mode for node in result.models()} <= {"increment", "seed", "table"}
    done = maintained(lake)  # now the replaced files go
    assert done["bronze.clickstream"].vacuumed is not None
    assert done["bronze.clickstream"].vacuumed.files >= 27
    feed(lake, chance)
    result = lake.build()
    assert {node.mode for node in result.models()} <= {"increment", "seed", "table"}
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    assert_same_tables(lake, other)


def test_a_build_that_comes_too_late_is_made_anew_and_counts_the_same(
    busy: tuple[TestLake, Chance], tmp_path: Path
) -> None:
    lake, chance = busy
    feed(lake, chance)
    maintained(lake, now=lambda: datetime.now(UTC) + timedelta(days=31))
    result = lake.build()
    modes = {node.label: node.mode for node in result.models()}
    assert modes["silver.stg_clickstream"] == "full"
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    assert_same_tables(lake, other)


def test_a_build_after_maintenance_without_news_changes_no_row(
    busy: tuple[TestLake, Chance],
) -> None:
    lake, _ = busy
    before = {label: lake.rows(label) for label in lake.tables()}
    maintained(lake)
    result = lake.build()
    assert {node.rows for node in result.models() if node.mode == "increment"} <= {0, None}
    assert {label: lake.rows(label) for label in lake.tables()} == before


def test_a_models_table_is_opened_from_a_checkpoint_that_forgets_what_was_replaced(
    busy: tuple[TestLake, Chance],
) -> None:
    lake, chance = busy
    for _ in range(9):
        lake.add("clickstream", chance.batch("clickstream", lake.now, 8), minutes=3)
        lake.build()
    for layer, name in ANY_TWO:
        table = lake.lake.open(layer, name)
        log = log_files(table, None).list()
        assert [file.version for file in log if file.kind == "checkpoint"] == [9], name
        assert table.metadata().configuration == LOG_PROPERTIES


def test_a_models_table_that_was_made_before_is_told_how_to_keep_its_log(
    busy: tuple[TestLake, Chance],
) -> None:
    lake, chance = busy
    for layer, name in ANY_TWO:
        lake.lake.open(layer, name).alter.set_table_properties({"delta.checkpointInterval": "100"})
    feed(lake, chance)
    maintained(lake)
    for layer, name in ANY_TWO:
        assert lake.lake.open(layer, name).metadata().configuration == LOG_PROPERTIES
    result = lake.build()
    assert {node.mode for node in result.models()} <= {"increment", "seed", "table"}


@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_build_that_maintenance_overtakes_succeeds_and_counts_once(
    busy: tuple[TestLake, Chance],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_refresh: bool,
) -> None:
    lake, chance = busy
    feed(lake, chance)
    # two files are worth merging, so that there is work in silver and gold
    monkeypatch.setattr(compaction, "groups", partial(groups, fewest=2))
    merged: dict[str, int] = {}
    write = build_write._write

    def late(cursor: Any, plan: Any, *args: Any) -> Any:
        if plan.own.table is not None and plan.own.label not in merged:
            table = (plan.own.layer, plan.own.name)
            options = Options(2**20, timedelta(days=7), timedelta(days=30))
            (done,) = maintain(lake.lake, options, [table])
            assert done.error is None
            merged[plan.own.label] = done.compacted.files_merged if done.compacted else 0
        return write(cursor, plan, *args)

    monkeypatch.setattr(build_write, "_write", late)
    result = lake.build(*(["--full-refresh"] if full_refresh else []))
    assert all(node.is_good for node in result.nodes)
    assert merged["silver.stg_clickstream"] > 0
    monkeypatch.undo()
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    assert_same_tables(lake, other)
