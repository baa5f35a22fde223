"""An analyst's plain dbt in dbt_project/, and what the command line shows of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from lake.dbt_run import PROJECT
from lake.errors import BuildError
from lakeward.__main__ import build_app

import pyarrow as pa  # isort: skip

DBT = Path(sys.executable).parent / "dbt"


@pytest.fixture
def command(lake: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a lakeward command on the test lake."""
    monkeypatch.setenv("LAKEWARD_HOME", str(lake.home))
    monkeypatch.delenv("LAKEWARD_LAKE_ROOT", raising=False)

    def run(*words: str) -> Any:
        return CliRunner().invoke(build_app(), list(words))

    return run


def test_plain_dbt_builds_tests_and_documents_from_its_folder(
    lake: Any, tmp_path: Path, chance: Any, feed: Callable[..., None]
) -> None:
    feed(lake, chance(29), 60)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "LAKEWARD_"))},
        "LAKEWARD_HOME": str(lake.home),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }

    def dbt(*words: str) -> str:
        done = subprocess.run(
            [DBT, *words, "--no-use-colors"],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    output = dbt("build", "--show-all-deprecations")
    assert "ERROR=0" in output
    assert "WARN=0" in output
    assert "eprecat" not in output
    dbt("docs", "generate")
    catalog = json.loads((tmp_path / "target" / "catalog.json").read_text())
    assert "model.lakeward.fct_funnel" in catalog["nodes"]
    columns = catalog["nodes"]["model.lakeward.fct_funnel"]["columns"]
    assert columns["visit_count"]["type"] == "BIGINT"
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text())
    for name, node in catalog["nodes"].items():
        if name.startswith("model."):
            assert set(node["columns"]) == set(manifest["nodes"][name]["columns"]), name


def test_the_dev_target_reads_bronze_and_leaves_production_alone(
    spine: Any, chance: Any, feed: Callable[..., None]
) -> None:
    lake, events = spine, chance(31)
    feed(lake, events, 40)
    lake.build()
    feed(lake, events, 40)
    before = lake.versions()
    result = lake.build(target="dev")
    assert lake.versions() == before
    own = lake.home / "dev" / "lake"
    assert not (own / "bronze").exists()
    assert result.node("stg_clickstream").mode == "full"
    rows = DeltaTable(str(own / "silver" / "stg_clickstream")).count()
    lake.build()
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(rows,)]


def test_two_runs_in_one_process_do_not_see_each_others_lake(
    lake: Any, page_view: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    other = lake.copy_bronze_to(lake.folder / "other")
    lake.add("clickstream", [page_view("e2", lake.now)])
    here, environment = Path.cwd(), dict(os.environ)
    for one in (lake, other, lake):
        one.build("--select", "sites", "stg_clickstream")
    assert lake.select("select count(*) from {silver.stg_clickstream}") == [(2,)]
    assert other.select("select count(*) from {silver.stg_clickstream}") == [(1,)]
    assert Path.cwd() == here
    assert dict(os.environ) == environment


def test_build_shows_what_each_table_got(
    lake: Any, page_view: Callable[..., Any], command: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    result = command("build")
    assert result.exit_code == 0, result.output
    assert "gold.fct_funnel" in result.output
    assert "rebuilt (first build)" in result.output
    assert "tests: all pass" in result.output
    assert "nothing new" in command("build", "--no-tests").output


def test_a_model_that_fails_ends_with_1_its_message_and_its_sql(
    lake: Any, page_view: Callable[..., Any], command: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    foreign = lake.lake.uri("gold", "fct_funnel")
    write_deltalake(foreign, pa.table({"mine": [1]}))
    result = command("build", "--no-tests")
    assert result.exit_code == 1
    assert "was not made by the model gold.fct_funnel" in result.output
    assert "fct_funnel.sql" in result.output
    assert DeltaTable(foreign).version() == 0
    assert lake.select("select count(*) from {gold.fct_metrics_60m}") == [(1,)]


def test_backfill_takes_the_days_it_is_given(
    lake: Any, page_view: Callable[..., Any], command: Callable[..., Any]
) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    lake.build()
    lake.open("gold.fct_metrics_60m").delete()
    assert command("backfill", "--from", "2026-02-01", "--to", "2026-02-28").exit_code == 0
    assert lake.rows("gold.fct_metrics_60m") == []
    assert command("backfill", "--from", "2026-02-28", "--to", "2026-03-01").exit_code == 0
    assert len(lake.rows("gold.fct_metrics_60m")) == 1


def test_wrong_words_to_dbt_are_an_error_that_says_which(lake: Any) -> None:
    with pytest.raises(BuildError, match="No such option"):
        lake.dbt("build", "--no-such-option")
    with pytest.raises(BuildError, match="takes a mapping"):
        lake.dbt("build", "--vars", "3")


def test_a_run_that_leaves_rows_out_is_refused(lake: Any, page_view: Callable[..., Any]) -> None:
    lake.add("clickstream", [page_view("e1", lake.now)])
    result = lake.dbt("run", "--empty", "--select", "stg_ad_events")
    assert "not for Delta models" in result.failures()[0].message
    assert lake.tables() == []
