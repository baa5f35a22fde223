"""The dashboards compiled against the types that Grafana publishes for them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.file import services
from tests.grafana.dashboards import DASHBOARDS
from tests.npm.installed import NpmUnavailableError, node_modules

HERE = Path(__file__).parent
REQUIRED = "LAKEWARD_REQUIRE_GRAFANA_SCHEMA"


@pytest.fixture(scope="module")
def modules() -> Path:
    try:
        return node_modules("grafana-schema", HERE)
    except NpmUnavailableError as error:
        reason = str(error)
    if os.environ.get(REQUIRED, "0") not in ("", "0"):
        pytest.fail(f"{REQUIRED} is set, but {reason}", pytrace=False)
    pytest.skip(f"Grafana's types of dashboards are left out: {reason}")


def compiled(modules: Path, folder: Path, boards: dict[str, Any]) -> str:
    """Return what the compiler has against dashboards; nothing when they are well."""
    for name in ("shapes.ts", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(modules)
    for name, board in boards.items():
        text = f"export const dashboard: Dashboard = {json.dumps(board)};\n"
        (folder / f"{name}.ts").write_text(f'import type {{ Dashboard }} from "./shapes";\n{text}')
    compiler = modules / "typescript/bin/tsc"
    done = subprocess.run(
        ["node", str(compiler), "--pretty", "false"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


def test_each_dashboard_is_what_grafana_publishes_types_for(modules: Path, tmp_path: Path) -> None:
    boards = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
    wrong = json.loads(DASHBOARDS[0].read_text())
    stat = next(panel for panel in wrong["panels"] if panel["type"] == "stat")
    faults = {
        "option": {"options": {**stat["options"], "colorMode": "rainbow"}},
        "misspelt": {"options": {**stat["options"], "grafMode": "area"}},
        "missing": {"options": {}},
        "unit": {"fieldConfig": {"defaults": {"unit": 1}, "overrides": []}},
        "query": {"targets": [{"refId": "A", "expression": "up"}]},
    }
    for name, fault in faults.items():
        boards[f"wrong_{name}"] = {**wrong, "panels": [{**stat, **fault}]}
    said = compiled(modules, tmp_path, boards)
    assert set(re.findall(r"^(\w+)\.ts\(", said, re.MULTILINE)) == {
        f"wrong_{name}" for name in faults
    }, said


def test_the_types_are_those_of_the_image() -> None:
    version = json.loads((HERE / "package.json").read_text())["dependencies"]["@grafana/schema"]
    assert services({})["grafana"].image == f"grafana/grafana:{version}"
