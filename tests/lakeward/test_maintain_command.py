"""``lakeward maintain`` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lake with two gold tables of ten files each."""
    for name in ("good", "other"):
        for number in range(10):
            uri = str(tmp_path / "lake" / "gold" / name)
            write_deltalake(uri, pa.table({"number": [number]}), mode="append")
    return tmp_path


def lakeward(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "120", **more}
    env.pop("LAKEWARD_LAKE_ROOT", None)
    command = [sys.executable, "-m", "lakeward", "maintain", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def files(home: Path, name: str) -> int:
    return len(DeltaTable(str(home / "lake" / "gold" / name)).file_uris())


def test_it_says_what_it_did_to_each_table(home: Path) -> None:
    done = lakeward(home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gold.good" in done.stdout
    assert "10 -> 1" in done.stdout
    assert (files(home, "good"), files(home, "other")) == (1, 1)


def test_only_the_tables_and_steps_asked_for_are_done(home: Path) -> None:
    assert lakeward(home, "--tables", "gold.good", "--steps", "compact").returncode == 0
    assert (files(home, "good"), files(home, "other")) == (1, 10)


def test_several_are_named_with_commas_or_one_after_the_other(home: Path) -> None:
    asked = ["--tables", "gold.good,gold.other", "--steps", "compact,checkpoint"]
    document = json.loads(lakeward(home, "--json", "--dry-run", *asked).stdout)
    one_by_one = [
        "-t",
        "gold.good",
        "-t",
        "gold.other",
        "--steps",
        "compact",
        "--steps",
        "checkpoint",
    ]
    assert json.loads(lakeward(home, "--json", "--dry-run", *one_by_one).stdout) == document
    for table in document["tables"]:
        assert table["compacted"]["files_after"] == 1
        assert table["checkpointed"]
        assert table["vacuumed"] is None


def test_a_dry_run_says_so_and_changes_nothing(home: Path) -> None:
    done = lakeward(home, "--dry-run")
    assert "10 -> 1" in done.stdout
    assert "nothing was changed" in done.stdout
    assert files(home, "good") == 10


def test_json_is_one_document(home: Path) -> None:
    document = json.loads(lakeward(home, "--json", "--tables", "gold").stdout)
    assert [one["table"] for one in document["tables"]] == ["gold.good", "gold.other"]
    assert document["tables"][0]["compacted"]["files_after"] == 1
    assert document["tables"][0]["error"] is None


def test_a_table_that_fails_makes_exit_code_1_and_the_others_are_done(home: Path) -> None:
    bad = DeltaTable(str(home / "lake" / "gold" / "good"))
    Path(bad.file_uris()[0]).write_bytes(b"not Parquet")
    done = lakeward(home)
    assert done.returncode == 1
    assert "gold.good" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(home, "other") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tables", "gold.none"], "there is no table gold.none"),
        (["--tables", "brass"], "there is no layer 'brass'"),
        (["--steps", "polish"], "is none of compact, fold, checkpoint, vacuum, clean"),
    ],
)
def test_what_is_not_there_is_named(home: Path, arguments: list[str], said: str) -> None:
    done = lakeward(home, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_empty_lake_is_said_to_be_empty(tmp_path: Path) -> None:
    done = lakeward(tmp_path)
    assert done.returncode == 2
    assert "there are no tables" in done.stderr
