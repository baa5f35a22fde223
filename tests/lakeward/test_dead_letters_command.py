"""``lakeward dead-letters``, as a person and as a program use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from lake.tables import Lake
from lakeward.__main__ import build_app
from tests.lake.dead_letters.letterbox import EACH, Letterbox, write_contract
from tests.lake.writer.bench import P0, batch, raw


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Letterbox:
    made = Letterbox.filled(Lake(str(tmp_path / "lake")))
    contracts = write_contract(tmp_path / "contracts")
    (tmp_path / "mend.yaml").write_text(
        "steps: [{set: {path: $.at, letter: appended_at, only_missing: true}}]"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEWARD_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEWARD_LAKE_ROOT", made.lake.root)
    monkeypatch.setenv("LAKEWARD_CONTRACTS_DIR", str(contracts))
    return made


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(build_app(), ["dead-letters", *arguments], **options)


def answer(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return json.loads(done.stdout)


def test_from_looking_to_letting_go(box: Letterbox) -> None:
    assert len(answer("list", "--tenant", "zeta", "--offsets", "1-5")) == 3
    (counts,) = answer("stats", "--by", "reason")["reason"]
    assert (counts["value"], counts["waiting"]) == ("missing_required", EACH)

    tried = answer("replay", "--mend", "mend.yaml", "--all", "--dry-run", "--sample", "1")
    (sample,) = tried["sample"]
    assert (sample["verdict"], tried["replayed"]) == ("row", EACH)
    assert '"at"' not in sample["before"]
    assert '"at"' in sample["after"]
    assert len(box.rows()) == EACH  # nothing was changed

    without = run("replay", "--all")
    assert without.exit_code == 1
    assert f"missing_required {EACH}" in without.output
    replayed = run("replay", "--mend", "mend.yaml", "--all")
    assert replayed.exit_code == 0, replayed.output
    assert f"{EACH} replayed" in replayed.output
    box.assert_whole()

    (shown,) = json.loads(run("show", "visits:0:1", "--json").stdout)
    assert [one["outcome"] for one in shown["history"]] == ["failed", "replayed"]

    refused = run("purge", "--outcome", "replayed", input="n\n")
    assert refused.exit_code == 1
    assert box.letters() == EACH
    assert answer("purge", "--outcome", "replayed", "--yes")["letters"] == EACH
    assert (box.letters(), answer("list")) == (0, [])
    report = box.bench.audit()
    assert report.is_clean, report.findings
    assert report.rows == 2 * EACH


def test_the_export_has_every_byte_and_the_history(box: Letterbox) -> None:
    run("replay", "--offsets", "1")
    assert run("export", "out.parquet").exit_code == 0
    table = pq.read_table("out.parquet")
    assert table.num_rows == EACH
    assert {len(history or []) for history in table["history"].to_pylist()} == {0, 1}
    lines = run("export", "-", "--offsets", "1").stdout.splitlines()
    assert [json.loads(line)["_partition"] for line in lines] == [0, 1]


def test_whatever_the_bytes_are_they_are_shown_and_drive_no_terminal(box: Letterbox) -> None:
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    nasty = [b"\x1b[2J\x07 not json \xe2\x80\xae", b"\xff\xfe\x00", b"[red]{", None]
    messages = [raw(P0, EACH + n, content) for n, content in enumerate(nasty)]
    sink.write(batch((P0, held, messages)))
    shown = [run("show", f"visits:0:{EACH + n}").output for n in range(len(nasty))]
    assert "\x1b[2J" not in shown[0]
    assert "\\x1b[2J\\x07 not json \\u202e" in shown[0]
    assert "ff fe 00" in shown[1]
    assert "[red]{" in shown[2]
    assert "a tombstone" in shown[3]
    assert all("may hold personal data" in text for text in shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "visits"], "names no dead letter"),
        (["show", "visits:0:99"], "there is no dead letter visits:0:99"),
        (["list", "--reason", "bad"], "'bad' is none of tombstone"),
        (["list", "--offsets", "x"], "'x' is no range"),
        (["list", "--offsets", "9-3"], "'9-3' ends before it begins"),
        (["list", "--appended-from", "yesterday"], "'yesterday' is no time"),
        (["replay"], "name the letters by filters, or give --all"),
        (["purge"], "name the letters by filters or --older-than"),
        (["replay", "--all", "--allow-tenant-change", "a"], "'a' is no OLD=NEW"),
        (["replay", "--all", "--mend", "none.yaml"], "none.yaml: it cannot be read"),
    ],
)
def test_what_a_user_gets_wrong_is_said(box: Letterbox, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0
    told = " ".join(f"{done.output} {done.exception}".replace("│", " ").split())
    assert said in told
