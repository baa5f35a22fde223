"""Sessions come out the same however late their events are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def sessions(lake: Any, page_view: Callable[..., Any]) -> Callable[..., list[tuple[Any, ...]]]:
    """Sends one event a given number of minutes after noon, builds, and returns the sessions."""
    sent: list[int] = []

    def send(*minutes: int) -> list[tuple[Any, ...]]:
        rows = []
        for minute in minutes:
            sent.append(minute)
            rows.append(page_view(f"e{len(sent)}", NOON + timedelta(minutes=minute)))
        lake.now = max(lake.now, NOON + timedelta(days=2))
        lake.add("clickstream", rows)
        lake.build("--select", "sites", "stg_clickstream", "int_sessions")
        found: list[tuple[Any, ...]] = lake.select(
            "select epoch(started_at - timestamptz '2026-03-01 12:00:00+00') // 60, "
            "epoch(ended_at - timestamptz '2026-03-01 12:00:00+00') // 60, event_count "
            "from {silver.int_sessions} order by 1"
        )
        return [(int(start), int(end), count) for start, end, count in found]

    return send


def test_a_late_event_joins_two_sessions(sessions: Any) -> None:
    assert sessions(0, 50) == [(0, 0, 1), (50, 50, 1)]
    assert sessions(25) == [(0, 50, 3)]


def test_a_late_event_just_too_far_from_both_is_a_session_of_its_own(sessions: Any) -> None:
    assert sessions(0, 70) == [(0, 0, 1), (70, 70, 1)]
    assert sessions(35) == [(0, 0, 1), (35, 35, 1), (70, 70, 1)]


def test_a_long_session_that_comes_back_is_counted_once(sessions: Any) -> None:
    day = list(range(0, 26 * 60, 20))
    assert sessions(*day) == [(0, day[-1], len(day))]
    assert sessions(day[-1] + 30) == [(0, day[-1] + 30, len(day) + 1)]


def test_a_session_that_turns_out_to_have_begun_the_day_before_moves_there(
    sessions: Any, lake: Any, tmp_path: Path, same_tables: Any
) -> None:
    past_midnight = 12 * 60 + 5
    sessions(past_midnight)
    assert sessions(past_midnight - 20) == [(past_midnight - 20, past_midnight, 2)]
    assert [
        str(row[0]) for row in lake.select("select session_date from {silver.int_sessions}")
    ] == ["2026-03-01"]
    other = lake.copy_bronze_to(tmp_path / "refresh")
    other.build("--select", "sites", "stg_clickstream", "int_sessions")
    same_tables(lake, other)
