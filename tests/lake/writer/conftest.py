"""Fixtures of the writer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lake.writer.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A lake of the test's own."""
    return Bench.at(tmp_path)
