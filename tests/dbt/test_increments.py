"""An increment takes each new row once, and says so when it has to start over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lake.build_run import BuildRun

CLICKS = ("--select", "sites", "stg_clickstream")


@pytest.fixture
def lake(spine: Any) -> Any:
    """Builds of a few models: a build of all takes several times as long and shows no more here."""
    return spine


def test_a_build_without_news_writes_nothing(lake: Any, page_view: Callable[..., Any]) -> None:
    lake.models = ""
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build()
    before = lake.versions()
    result = lake.build()
    assert lake.versions() == before
    messages = {node.message for node in result.models() if node.kind == "model"}
    assert messages == {"nothing new", "left as it is: 0 rows"}


def test_compaction_between_builds_adds_no_rows(
    lake: Any, tmp_path: Path, chance: Any, feed: Callable[..., None], same_tables: Any
) -> None:
    events = chance(5)
    for _ in range(2):
        feed(lake, events, 30)
        lake.build()
        for label in ("bronze.clickstream", "bronze.conversions", *lake.tables()):
            lake.open(label).optimize.compact()
        tables = {label: lake.rows(label) for label in lake.tables()}
        result = lake.build()
        assert {node.rows for node in result.models()} == {0}
        assert tables == {label: lake.rows(label) for label in lake.tables()}
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    same_tables(lake, other)


def test_bronze_compacted_before_it_was_read_is_read_once(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build(*CLICKS)
    for number in range(2, 5):
        lake.add("clickstream", [page_view(f"e{number}", lake.now)])
    lake.open("bronze.clickstream").optimize.compact()
    result = lake.build(*CLICKS)
    assert result.node("stg_clickstream").mode == "increment"
    assert result.node("stg_clickstream").rows == 3
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(4,)]


def test_vacuumed_files_make_a_stated_full_recompute(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build(*CLICKS)
    lake.add("clickstream", [page_view("e2", lake.now)])
    lake.add("clickstream", [page_view("e1", lake.now), page_view("e3", lake.now)])
    bronze = lake.open("bronze.clickstream")
    bronze.optimize.compact()
    bronze.vacuum(0, enforce_retention_duration=False, dry_run=False)
    result = lake.build(*CLICKS)
    assert result.node("stg_clickstream").mode == "full"
    assert "vacuumed" in result.node("stg_clickstream").message
    assert [
        row[0] for row in lake.select("select event_id from {silver.stg_clickstream} order by 1")
    ] == ["e1", "e2", "e3"]


def test_a_log_that_was_cleaned_up_makes_a_stated_full_recompute(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build(*CLICKS)
    lake.add("clickstream", [page_view("e2", lake.now)])
    lake.add("clickstream", [page_view("e3", lake.now)])
    bronze = lake.open("bronze.clickstream")
    bronze.create_checkpoint()
    (Path(lake.lake.uri("bronze", "clickstream")) / "_delta_log" / f"{1:020d}.json").unlink()
    result = lake.build(*CLICKS)
    assert "the log no longer has version 1" in result.node("stg_clickstream").message
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(3,)]


def test_a_retry_that_carries_another_date_is_no_second_event(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    first = datetime(2026, 2, 20, 12, tzinfo=UTC)
    lake.add("clickstream", [page_view("e1", first)])
    lake.build(*CLICKS)
    lake.add("clickstream", [page_view("e1", lake.now), page_view("e1", lake.now, user_id="u9")])
    lake.build(*CLICKS)
    assert lake.select("select occurred_at, user_id from {silver.stg_clickstream}") == [
        (first, None)
    ]


def test_rows_deleted_from_bronze_leave_silver_and_empty_their_gold_bucket(
    lake: Any, tmp_path: Path, same_tables: Any
) -> None:
    day = datetime(2026, 2, 20, 12, tzinfo=UTC)
    buy = {
        "tenant_id": "acme",
        "user_id": "u1",
        "session_id": "s1",
        "conversion_type": "token_purchase",
    }
    lake.add("conversions", [{**buy, "conversion_id": "v1", "occurred_at": day}])
    lake.add("conversions", [{**buy, "conversion_id": "v2"}])
    lake.build()
    lake.open("bronze.conversions").delete("conversion_id = 'v1'")
    result = lake.build()
    assert "removed or rewritten" in result.node("stg_conversions").message
    assert result.node("fct_revenue_daily").mode == "increment"
    assert lake.select("select revenue_date from {gold.fct_revenue_daily}") == [(lake.now.date(),)]
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    same_tables(lake, other)


def test_a_bronze_table_made_anew_is_not_mistaken_for_the_old_one(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("old", lake.now)])
    lake.build(*CLICKS)
    folder = Path(lake.lake.uri("bronze", "clickstream"))
    folder.rename(folder.parent / "gone")
    for name in ("new1", "new2"):
        lake.add("clickstream", [page_view(name, lake.now)])
    result = lake.build(*CLICKS)
    assert "made anew" in result.node("stg_clickstream").message
    assert lake.select("select count(*) from {silver.stg_clickstream} where event_id = 'old'") == [
        (0,)
    ]


def test_a_restored_silver_table_gets_its_rows_back(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    for name in ("e1", "e2"):
        lake.add("clickstream", [page_view(name, lake.now)])
        lake.build(*CLICKS)
    silver = lake.open("silver.stg_clickstream")
    silver.restore(silver.version() - 1)
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(1,)]
    result = lake.build(*CLICKS)
    assert "restored" in result.node("stg_clickstream").message
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(2,)]


def test_models_of_events_that_never_came_are_empty_and_then_follow(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build()
    assert lake.select("select count(*) from {silver.stg_ad_events}") == [(0,)]
    ad = {"tenant_id": "acme", "campaign_id": "c", "channel": "email", "event": "click"}
    lake.add("ad_events", [{**ad, "event_id": "a1"}, {**ad, "event_id": "a2", "channel": "x"}])
    result = lake.build()
    assert result.node("stg_ad_events").mode == "increment"
    assert result.node("stg_rejected_events").mode == "increment"
    assert lake.select("select event_id from {silver.stg_ad_events}") == [("a1",)]
    assert lake.select("select reason from {silver.stg_rejected_events}") == [
        ("not_allowed:channel",)
    ]


def test_a_changed_seed_recomputes_what_it_enriches(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now, site_id="ico-001")])
    lake.build(*CLICKS)
    sites = lake.open("silver.sites")
    sites.update(updates={"category": "'Mining'"}, predicate="site_id = 'ico-001'")
    result = lake.build(*CLICKS)
    assert result.node("sites").rows == 20
    assert "silver.sites has changed" in result.node("stg_clickstream").message


STAGES = ["stg_clickstream", "fct_metrics_60m"]
"""The first of a chain and the last; `test_increments_equal_refresh.py` dies at others."""


@pytest.mark.parametrize("model", STAGES)
def test_a_build_that_dies_after_a_write_is_simply_run_again(
    lake: Any,
    tmp_path: Path,
    chance: Any,
    feed: Callable[..., None],
    same_tables: Any,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    events = chance(7)
    feed(lake, events, 30)
    lake.build()
    feed(lake, events, 30)
    move = BuildRun.move

    def die(run: BuildRun, cursor: Any, old: Any) -> Any:
        if old.name == model:
            raise OSError("the power went")
        return move(run, cursor, old)

    with monkeypatch.context() as patch:
        patch.setattr(BuildRun, "move", die)
        result = lake.dbt("run")
    assert not result.succeeded
    assert "the power went" in result.node(model).message
    rows = lake.rows(next(label for label in lake.tables() if label.endswith(model)))
    again = lake.build()
    assert again.node(model).message == "nothing new"
    assert lake.rows(next(label for label in lake.tables() if label.endswith(model))) == rows
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    same_tables(lake, other)


KILL = """
import os, sys
from pathlib import Path
from lake import model_table
from lake.dbt_run import run_dbt
real, left = model_table.write_deltalake, [int(sys.argv[3])]
def write(*args, **kwargs):
    real(*args, **kwargs)
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
model_table.write_deltalake = write
run_dbt(["run", "--select", sys.argv[4]], home=Path(sys.argv[1]), lake_root=sys.argv[2])
"""


def test_a_build_killed_between_two_commits_is_simply_run_again(
    lake: Any,
    tmp_path: Path,
    chance: Any,
    feed: Callable[..., None],
    same_tables: Any,
) -> None:
    events = chance(11)
    feed(lake, events, 30)
    lake.build()
    feed(lake, events, 30)
    root = Path(__file__).parents[2]
    died = subprocess.run(
        [sys.executable, "-c", KILL, str(lake.home), lake.lake.root, "4", lake.models],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
        check=False,
    )
    assert died.returncode == 9
    lake.build()
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build()
    same_tables(lake, other)


def test_a_first_build_that_died_between_making_and_filling_a_table_is_run_again(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    other = lake.copy_bronze_to(lake.folder / "other")
    other.build(*CLICKS)
    schema = other.open("silver.stg_clickstream").schema()
    DeltaTable.create(
        lake.lake.uri("silver", "stg_clickstream"),
        schema,
        partition_by=["tenant_id", "event_date"],
        name="silver.stg_clickstream",
    )
    result = lake.build(*CLICKS)
    assert "did not finish" in result.node("stg_clickstream").message
    assert lake.select("select event_id from {silver.stg_clickstream}") == [("e1",)]


def test_all_models_of_a_run_see_one_state_of_bronze(
    lake: Any, page_view: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    move = BuildRun.move
    late = iter(range(2, 100))

    def add_meanwhile(run: BuildRun, cursor: Any, old: Any) -> Any:
        lake.add("clickstream", [page_view(f"e{next(late)}", lake.now, event_type="stare")])
        return move(run, cursor, old)

    with monkeypatch.context() as patch:
        patch.setattr(BuildRun, "move", add_meanwhile)
        lake.build("--threads", "1")
    assert lake.select("select count(*) from {silver.stg_rejected_events}") == [(0,)]
    added = lake.select("select count(*) from {bronze.clickstream} where event_type = 'stare'")
    lake.now += timedelta(minutes=1)
    lake.build()
    assert lake.select("select count(*) from {silver.stg_rejected_events}") == added


def test_models_after_an_increment_take_its_changed_rows_from_memory_or_from_files_alike(
    lake: Any,
    tmp_path: Path,
    chance: Any,
    feed: Callable[..., None],
    same_tables: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake.models = "+dim_users"
    events = chance(13)
    feed(lake, events, 30)
    lake.build()
    for _ in range(2):
        feed(lake, events, 30)
        lake.build()
    feed(lake, events, 30)
    other = lake.copy_to(tmp_path / "files")
    sides, taken = BuildRun.sides, set[str]()

    def told(run: BuildRun, changes: Any) -> Any:
        found = sides(run, changes)
        taken.update(found)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(BuildRun, "sides", told)
        lake.build()
    assert taken == {"silver.int_identity", "silver.int_persons"}
    monkeypatch.setattr(BuildRun, "sides", lambda *_: {})
    other.build()
    same_tables(lake, other)
