"""A registry on each kind of database."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from ingest.tenants.database import Database
from ingest.tenants.registry import Registry

NUMBERS = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tenants.db"
    server = request.getfixturevalue("postgres")
    return str(server.make_database(f"registry_{next(NUMBERS)}"))


@pytest.fixture
def registry(database_url: str) -> Registry:
    """A registry without tenants."""
    database = Database(database_url)
    database.migrate()
    return Registry(database)
