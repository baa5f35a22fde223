"""``lakeward query``, ``tables`` and ``catalog`` as a person types them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

from ingest.errors import LakewardError
from lakeward.__main__ import main
from lakeward.rows import as_json, as_text, unique, write_csv, write_json, write_table


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "lake" / "gold" / "numbers", pa.table({"n": [1, 2, 3]}))
    return tmp_path


def lakeward(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakeward", *arguments],
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "100"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_json_holds_every_row(home: Path) -> None:
    done = lakeward(home, "query", "from gold.numbers order by n", "--format", "json")
    assert json.loads(done.stdout) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert (done.returncode, done.stderr) == (0, "")


def test_csv_holds_every_row_and_reads_sql_from_standard_input(home: Path) -> None:
    done = lakeward(home, "query", "-", "-f", "csv", stdin="from gold.numbers order by n")
    assert list(csv.reader(io.StringIO(done.stdout))) == [["n"], ["1"], ["2"], ["3"]]


def test_a_table_is_cut_at_the_limit_and_says_so(home: Path) -> None:
    done = lakeward(home, "query", "from gold.numbers order by n", "--limit", "2")
    assert done.stdout.split() == ["n", "─", "1", "2"]
    assert "first 2 rows" in done.stderr
    whole = lakeward(home, "query", "from gold.numbers order by n", "--limit", "3")
    assert whole.stderr == ""


def test_time_travel_from_the_command_line(home: Path) -> None:
    write_deltalake(home / "lake" / "gold" / "numbers", pa.table({"n": [4]}), mode="append")
    sql = "select count(*) as c from gold.numbers"
    now = lakeward(home, "query", sql, "-f", "json")
    then = lakeward(home, "query", sql, "-f", "json", "--as-of", "gold.numbers=0")
    assert (json.loads(now.stdout), json.loads(then.stdout)) == ([{"c": 4}], [{"c": 3}])


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("selec 1", "syntax error at or near"),
        ("from gold.nmbers", "nmbers"),
        ("drop view gold.numbers", "read-only"),
        ("select [1, 'a[/b]'] + 1", "a[/b]"),
    ],
)
def test_a_wrong_query_is_one_message_and_exit_code_2(home: Path, sql: str, says: str) -> None:
    done = lakeward(home, "query", sql)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    for command in (["query", "select 1"], ["tables"], ["catalog", "build"]):
        done = lakeward(tmp_path, *command)
        assert done.returncode == 2
        assert "lakeward write" in done.stderr


def test_tables_lists_rows_and_versions(home: Path) -> None:
    done = lakeward(home, "tables", "--json")
    (found,) = json.loads(done.stdout)
    assert (found["layer"], found["name"], found["rows"]) == ("gold", "numbers", 3)
    assert (found["version"], found["files"]) == (0, 1)
    assert "gold.numbers" in lakeward(home, "tables").stdout
    assert lakeward(home, "tables", "--layer", "lead").returncode == 2


def test_catalog_build_writes_the_file_that_catalog_path_names(home: Path) -> None:
    assert lakeward(home, "catalog", "build").returncode == 0
    assert Path(lakeward(home, "catalog", "path").stdout.strip()).is_file()


def test_a_catalog_for_a_mistyped_tenant_is_refused_and_one_to_come_can_be_made(
    home: Path,
) -> None:
    rows = pa.table({"tenant_id": ["acme"], "n": [1]})
    write_deltalake(home / "lake" / "gold" / "by_tenant", rows, partition_by=["tenant_id"])
    write_deltalake(home / "lake" / "gold" / "rpt_freshness", rows, partition_by=["tenant_id"])
    build = ("catalog", "build", "--tenant")
    refused = lakeward(home, *build, "acne")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no tenant 'acne' is registered" in refused.stderr
    assert "Tenants: acme." in refused.stderr
    assert list(home.rglob("acne.duckdb")) == []
    assert lakeward(home, *build, "acme").returncode == 0
    made = lakeward(home, *build, "newcomer", "--force")
    assert made.returncode == 0
    assert "no table of silver or gold has a row of the tenant 'newcomer'" in made.stderr
    assert (home / "serving" / "tenants" / "newcomer.duckdb").is_file()


def test_json_keeps_every_digit_and_every_column() -> None:
    out = io.StringIO()
    row = (Decimal("12345678901234567890.10"), float("nan"), {"a": [1, None]}, b"\xff", True)
    write_json(out, ["x", "x", "y", "z", "t"], [row])
    assert '"x": 12345678901234567890.10' in out.getvalue()
    (found,) = json.loads(out.getvalue(), parse_float=Decimal)
    assert found == {
        "x": Decimal("12345678901234567890.10"),
        "x_2": None,
        "y": {"a": [1, None]},
        "z": "\\xff",
        "t": True,
    }


def test_no_rows_are_an_empty_array_and_a_bare_header() -> None:
    out = io.StringIO()
    write_json(out, ["x"], [])
    assert json.loads(out.getvalue()) == []
    out = io.StringIO()
    write_csv(out, ["x"], [])
    assert out.getvalue() == "x\n"


def test_values_read_as_a_person_expects() -> None:
    assert as_text(None) == "None"
    assert as_text(True) == "true"
    assert as_text(Decimal("1E+3")) == "1000"
    assert as_json("ä") == '"ä"'
    assert list(unique(["a", "a", "a_2", "a"])) == ["a", "a_2", "a_2_2", "a_3"]


def test_what_a_stranger_sent_drives_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody with a public write key may put escape sequences into a column."""
    nasty = "\x1b]52;c;eA==\x07\x9b2J\u202e"
    table, document = io.StringIO(), io.StringIO()
    write_table(Console(file=table, width=100), ["page"], [(nasty,)])
    write_json(document, ["page"], [(nasty,)])
    assert json.loads(document.getvalue()) == [{"page": nasty}]

    def refused() -> None:
        raise LakewardError(f"Could not convert string {nasty!s} to INT32")

    monkeypatch.setattr("lakeward.__main__.build_app", refused)
    with pytest.raises(SystemExit):
        main()
    error = capsys.readouterr().err
    assert "Could not convert" in error
    for text in (table.getvalue(), document.getvalue(), error):
        assert not {"\x1b", "\x07", "\x9b"} & set(text)
