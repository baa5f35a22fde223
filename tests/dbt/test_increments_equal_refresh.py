"""Whatever way the events come in, the tables end up as if they had all been there at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_four_increments_with_late_and_duplicate_events_equal_a_full_refresh(
    lake: Any,
    tmp_path: Path,
    chance: Any,
    feed: Callable[..., None],
    same_tables: Callable[..., None],
    seed: int,
) -> None:
    events = chance(seed)
    for number in range(4):
        feed(lake, events, 60)
        result = lake.build()
        if number > 0:
            assert {node.mode for node in result.models()} == {"increment", "seed", "table"}
        other = lake.copy_bronze_to(tmp_path / f"refresh{number}")
        other.build()
        same_tables(lake, other)
    assert len(lake.rows("silver.int_sessions")) > 50
    assert len(lake.rows("silver.stg_rejected_events")) > 20
    assert len(lake.rows("gold.fct_revenue_daily")) > 20
