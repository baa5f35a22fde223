"""One parse of the dbt project serves every home, and never longer than it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lake import dbt_parse
from lake.dbt_parse import parsed_project
from lake.dbt_run import PROJECT
from lake.errors import BuildError

PROFILE = "small: {target: prod, outputs: {prod: {type: duckdb, path: ':memory:'}}}"
WRITTEN = "partial_parse.msgpack"
"""What dbt leaves in the target path when there was something to parse."""

Parse = Callable[[str], tuple[set[str], bool]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("{name: small, version: 1.0.0, profile: small}")
    (folder / "profiles.yml").write_text(PROFILE)
    (folder / "models" / "one.sql").write_text("select 1 as n")
    return folder


@pytest.fixture
def parse(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parses as a new process with a new home would; tells the models, and whether dbt parsed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(home: str) -> tuple[set[str], bool]:
        monkeypatch.setattr(dbt_parse, "_parsed", {})
        target = tmp_path / home / "target"
        options = [
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(target), "--log-path", str(tmp_path), "--log-level", "none"),
        ]
        parsed: Any = parsed_project(project, options, ("prod", "{}"))
        return {node.name for node in parsed.nodes.values()}, (target / WRITTEN).exists()

    return run


def test_a_new_home_begins_with_the_parse_of_another(parse: Parse, project: Path) -> None:
    assert parse("first") == ({"one"}, True)
    assert parse("second") == ({"one"}, False)
    (project / "models" / "two.sql").write_text("select n from {{ ref('one') }}")
    assert parse("third") == ({"one", "two"}, True)
    assert parse("fourth") == ({"one", "two"}, False)
    (project / "models" / "two.sql").unlink()
    assert parse("second") == ({"one"}, True)


def test_a_parse_that_is_damaged_or_cannot_be_kept_only_takes_time(
    parse: Parse, tmp_path: Path
) -> None:
    parse("first")
    (kept,) = (tmp_path / "cache").rglob("*.msgpack")
    kept.write_bytes(kept.read_bytes()[:1000])
    assert parse("second") == ({"one"}, True)
    assert parse("third") == ({"one"}, False)
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("a file where the folder should be")
    assert parse("fourth") == ({"one"}, True)


def test_a_project_that_cannot_be_parsed_is_told(parse: Parse, project: Path) -> None:
    (project / "models" / "two.sql").write_text("select {{ ref('nothing') }}")
    with pytest.raises(BuildError, match="nothing"):
        parse("first")


def test_the_profile_says_nothing_that_differs_from_lake_to_lake() -> None:
    """dbt hashes what a profile says, and would parse the project anew for each lake."""
    lines = (PROJECT / "profiles.yml").read_text().splitlines()
    told = "\n".join(line.partition("#")[0] for line in lines)
    assert "LAKEWARD_HOME" not in told
    assert "LAKE_ROOT" not in told
    assert "var('" not in told.replace("env_var('", "")
