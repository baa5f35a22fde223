"""Fixtures of the maintenance tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lake.maintenance.rounds import Rounds


@pytest.fixture
def rounds(tmp_path: Path) -> Rounds:
    """A lake of the test's own, with nothing in it yet."""
    return Rounds.at(tmp_path)
