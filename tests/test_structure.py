"""The shape of the code base: which package may import which, and what files are called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONGEST_FIRST

ROOT = Path(__file__).parents[1]
ORDER = ["ingest", "lake", "expectations", "serving", "orchestration", "lakeward"]
BANNED_NAMES = {"utils", "helpers", "common", "manager", "base"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package: str) -> None:
    later = set(ORDER[ORDER.index(package) + 1 :])
    offenders = {
        str(path.relative_to(ROOT)): sorted(imported_packages(path) & later)
        for path in modules(package)
        if imported_packages(path) & later
    }
    assert offenders == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {path.stem for package in ORDER for path in modules(package)}
    assert named & BANNED_NAMES == set()


def test_each_package_with_errors_opens_with_its_tree() -> None:
    for path in (ROOT / package / "errors.py" for package in ORDER):
        if path.exists():
            doc = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert "LakewardError" in doc, path
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    assert node.name in doc, f"{path}: {node.name} is not in the tree"


def test_building_the_command_line_loads_no_library_of_the_lake() -> None:
    """They take a second to load, which `--help` and completion would wait for."""
    heavy = {"pyarrow", "deltalake", "duckdb", "dagster", "sqlalchemy", "confluent_kafka"}
    code = "import sys; from lakeward.__main__ import build_app; build_app(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert heavy & set(loaded.stdout.split()) == set()


def test_the_files_that_are_run_first_are_there() -> None:
    assert [name for name in LONGEST_FIRST if not (ROOT / name).is_file()] == []
