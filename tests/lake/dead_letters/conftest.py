"""A lake with dead letters, made by the writer's own sink."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.tables import Lake
from tests.lake.dead_letters.letterbox import Letterbox


@pytest.fixture
def box(tmp_path: Path) -> Letterbox:
    """Two partitions of ten messages each; of each, every other is a letter that can be mended."""
    return Letterbox.filled(Lake(str(tmp_path / "lake")))
