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
    folder: Path,
    ledger: Ledger,
    rows: list[tuple[str, Coordinates]],
    dead: list[Coordinates],
    more: dict[Coordinates, str | None] | None = None,
) -> Verdict:
    """Judge a lake of these; Kafka has ``ROWS`` and ``DEAD``, and ``more``."""
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
    kafka: dict[Coordinates, str | None] = {**{at: i for i, at in ROWS}, **dict.fromkeys(DEAD)}
    return judge(lake, "visits", {**kafka, **(more or {})}, ledger)


def test_a_lake_that_holds_the_ledger_is_exactly_once(tmp_path: Path, ledger: Ledger) -> None:
    found = verdict(tmp_path, ledger, ROWS, DEAD)
    assert found.is_exactly_once
    assert (found.acknowledged, found.rows, found.dead) == (4, 3, 1)


def test_a_missing_event_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS[1:], DEAD).lost == ("a at (0, 0)",)


def test_a_missing_dead_letter_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS, []).lost == ("poison at (1, 1)",)


def test_what_kafka_acknowledged_and_lost_is_lost(tmp_path: Path, ledger: Ledger) -> None:
    ledger.events["d"] = (2, 0)
    found = verdict(tmp_path, ledger, ROWS, DEAD)
    assert found.lost == ("d acknowledged at (2, 0), not in Kafka",)


def test_what_kafka_acknowledged_without_an_offset_has_to_be_somewhere(
    tmp_path: Path, ledger: Ledger
) -> None:
    ledger.somewhere |= {"a", "unanswered"}
    ledger.poison_somewhere = 1
    assert verdict(tmp_path, ledger, ROWS, DEAD).lost == (
        "unanswered acknowledged, not in Kafka",
        "poison acknowledged, not in Kafka",
    )


def test_a_row_that_is_there_again_is_twice(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, [*ROWS, ROWS[0]], DEAD).twice == ("(0, 0) 2 times",)


def test_a_message_that_is_row_and_dead_letter_is_twice(tmp_path: Path, ledger: Ledger) -> None:
    assert verdict(tmp_path, ledger, ROWS, [*DEAD, (0, 1)]).twice == ("(0, 1) 2 times",)


def test_a_row_under_an_offset_that_kafka_does_not_have_is_strange(
    tmp_path: Path, ledger: Ledger
) -> None:
    found = verdict(tmp_path, ledger, [*ROWS, ("a", (0, 7))], DEAD)
    assert found.strange == ("a at (0, 7), where Kafka has nothing",)
    assert not found.is_exactly_once


def test_a_row_under_the_offset_of_another_is_strange(tmp_path: Path, ledger: Ledger) -> None:
    swapped = [("b", (0, 0)), ("a", (0, 1)), ROWS[2]]
    assert len(verdict(tmp_path, ledger, swapped, DEAD).strange) == 2


def test_an_event_without_an_answer_may_be_there_once(tmp_path: Path, ledger: Ledger) -> None:
    more: dict[Coordinates, str | None] = {(0, 2): "unanswered"}
    found = verdict(tmp_path, ledger, [*ROWS, ("unanswered", (0, 2))], DEAD, more)
    assert found.is_exactly_once
    assert found.surfaced == 1


def test_what_a_producer_sent_twice_is_told_and_each_offset_has_to_be_there_once(
    tmp_path: Path, ledger: Ledger
) -> None:
    more: dict[Coordinates, str | None] = {(0, 2): "a"}
    found = verdict(tmp_path / "both", ledger, [*ROWS, ("a", (0, 2))], DEAD, more)
    assert found.is_exactly_once
    assert found.resent == ("a",)
    assert verdict(tmp_path / "one", ledger, ROWS, DEAD, more).lost == ("a at (0, 2)",)
