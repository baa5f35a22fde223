"""What Superset stands on: its lock, its secrets, DuckDB connections that read the lake alone."""

from __future__ import annotations

import re
import stat
import sys
import tomllib
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from serving.errors import SupersetEnvironmentError
from serving.superset.embedded import make_secrets, read_secrets, superset_folder
from serving.superset.environment import INSIDE, LOCK, ensure, package_count, usual_folder

ROOT = Path(__file__).parents[3]


def pinned(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


def test_the_lock_has_the_duckdb_of_lakeward_and_every_hash() -> None:
    lock = pinned(LOCK.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ours = pinned("\n".join(project))
    for name in ("duckdb", "duckdb-extension-delta", "duckdb-extension-httpfs"):
        assert lock[name] == ours[name]
    assert LOCK.read_text().count("--hash=sha256:") > package_count() > 100
    wanted = (LOCK.parent / "requirements.in").read_text()
    for name, version in re.findall(r"^([a-z-]+)(?:\[\w+\])?==(\S+)", wanted, re.MULTILINE):
        assert lock[name] == version


def test_another_lock_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert re.fullmatch(r"/somewhere/lakeward/superset-[0-9a-f]{12}", str(usual_folder()))


def test_a_python_that_does_not_fit_is_told(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    with pytest.raises(SupersetEnvironmentError, match=r"needs Python 3\.11 or 3\.12") as told:
        ensure(tmp_path / "superset", str(old), lambda _: None)
    assert "LAKEWARD_SUPERSET_PYTHON" in str(told.value)
    with pytest.raises(SupersetEnvironmentError, match="cannot be run"):
        ensure(tmp_path / "superset", str(tmp_path / "none"), lambda _: None)


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / ".complete").touch()
    said: list[str] = []
    assert ensure(tmp_path, "no-python", said.append).python == tmp_path / "bin/python"
    assert said == []


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    first = read_secrets(tmp_path)
    make_secrets(tmp_path)
    assert read_secrets(tmp_path) == first
    assert len(first.secret_key) > 40
    path = superset_folder(tmp_path) / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("{")
    with pytest.raises(SupersetEnvironmentError, match="cannot be read"):
        read_secrets(tmp_path)


def test_a_prepared_connection_reads_the_lake_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(INSIDE))
    from lake_connections import statements  # type: ignore[import-not-found]

    del sys.modules["lake_connections"]
    lake, other = tmp_path / "lake", tmp_path / "other"
    for folder in (lake, other):
        write_deltalake(str(folder / "gold" / "numbers"), pa.table({"n": [1]}))
    (tmp_path / "secret.txt").write_text("secret")
    with duckdb.connect() as connection:
        for statement in statements(str(lake), tmp_path / "spill"):
            connection.execute(statement)
        scan = "select n from delta_scan('{0}/gold/numbers')"
        assert connection.execute(scan.format(lake)).fetchall() == [(1,)]
        assert connection.execute("select current_setting('TimeZone')").fetchone() == ("UTC",)
        for refused in (
            scan.format(other),
            f"select * from read_text('{tmp_path}/secret.txt')",
            f"select * from read_text('{lake}/../secret.txt')",
            "set enable_external_access = true",
            "install spatial",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(refused).fetchall()
