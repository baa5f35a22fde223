"""What dbt's project says, and the definitions of the dashboards."""

from __future__ import annotations

from typing import Any

import pytest

from lake.dbt_run import parse_project
from serving.superset.definitions import Definitions, read_definitions
from serving.superset.marts import Project, read_project


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("manifest")
    return parse_project(home=home)


@pytest.fixture(scope="session")
def project(manifest: dict[str, Any]) -> Project:
    return read_project(manifest)


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    return read_definitions()
