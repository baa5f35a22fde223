"""The campaign's judge sees what it is there to see."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from benchmarks.chaos.ledger import Coordinates, Ledger
from benchmarks.chaos.verdict import Verdict, judge
from lake.tables import DEAD_LETTERS, Lake

ROWS = [("a", (0, 0)), ("b", (0, 1)), ("c", (1, 0))]
DEAD = [(1, 1)]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(events=dict(ROWS), poison=set(DEAD), sent={"a", "b", "c", "unanswered"})


def verdict(
    folder: Path, ledger: Ledger, rows: list[tuple[str, Coordinates]], dead: list[Coordinates]
) -> Verdict:
    lake = Lake(str(folder))
    tables = {"visits": [at for _, at in rows], DEAD_LETTERS: dead}
    for name, places in tables.items():
        columns = {
            "event_id": pa.array([i for i, _ in rows] if name == "visits" else [None] * len(dead)),
            "_partition": pa.array([p for p, _ in places], pa.int32()),
            "_offset": pa.array([o for _, o in places], pa.int64()),
        }
        columns["event_id"] = columns["event_id"].cast(pa.string())
        write_deltalake(lake.uri("bronze", name), pa.table(columns))
    return judge(lake, "visits", ledger)


def test_a_lake_that_holds_the_ledger_is_exactly_once(tmp_path: Path, ledger: Ledger) -> None:
    found = verdict(tmp_path, ledger, ROWS, DEAD)
    assert found.is_exactly_once
    assert (found.acknowledged, found.rows, found.dead) == (4, 3, 1)


def test_a_missing_event_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS[1:], DEAD).lost == ("a",)


def test_a_missing_dead_letter_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS, []).lost == ("poison at (1, 1)",)


def test_a_row_that_is_there_again_is_twice(tmp_path: Path, ledger: Ledger) -> None:
    found = verdict(tmp_path, ledger, [*ROWS, ROWS[0]], DEAD)
    assert found.twice == ("offset (0, 0) 2 times", "a 2 times")


def test_an_event_under_a_second_offset_is_twice(tmp_path: Path, ledger: Ledger) -> None:
    assert "a 2 times" in verdict(tmp_path, ledger, [("a", (0, 7)), *ROWS], DEAD).twice


def test_a_message_that_is_row_and_dead_letter_is_twice(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS, [*DEAD, (0, 1)]).twice == ("offset (0, 1) 2 times",)


def test_what_nobody_sent_and_what_is_elsewhere_is_strange(tmp_path: Path, ledger: Ledger) -> None:
    found = verdict(tmp_path, ledger, [("a", (0, 5)), *ROWS[1:], ("x", (1, 2))], DEAD)
    assert found.strange == ("x", "a at (0, 5), acknowledged at (0, 0)")
    assert not found.is_exactly_once


def test_an_event_without_an_answer_may_be_there_once(tmp_path: Path, ledger: Ledger) -> None:
    found = verdict(tmp_path, ledger, [*ROWS, ("unanswered", (0, 2))], DEAD)
    assert found.is_exactly_once
    assert found.surfaced == 1
