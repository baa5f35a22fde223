"""A dead letter that is replayed becomes one row, whatever happens in between."""

from __future__ import annotations

from lake.dead_letters.history import happenings, read
from tests.lake.dead_letters.letterbox import EACH, Letterbox
from tests.lake.writer.bench import MADE_AT


def test_a_mended_letter_is_a_row_with_the_coordinates_it_had(box: Letterbox) -> None:
    before = {(r["_partition"], r["_offset"]) for r in box.rows("dead_letters")}
    done = box.replay()
    assert done.replayed == {"visits": EACH}
    box.assert_whole()
    came_back = [r for r in box.rows() if r["_offset"] % 2]
    assert {(r["_partition"], r["_offset"]) for r in came_back} == before
    assert {(r["_topic"], r["_topic_id"]) for r in came_back} == {("visits", "id-1")}
    assert {r["_appended_at"].timestamp() * 1000 for r in came_back} == {MADE_AT[1]}
    assert box.letters() == EACH
    assert {one.outcome for one in happenings(read(box.lake))} == {"replayed"}


def test_a_second_replay_finds_nothing_to_do(box: Letterbox) -> None:
    box.replay()
    again = box.replay()
    assert (again.taken, again.replayed.total()) == (0, 0)
    box.assert_whole()


def test_a_second_failure_keeps_the_first(box: Letterbox) -> None:
    first = box.replay(None)
    assert first.failed == {"missing_required": EACH}
    box.replay(None)
    box.assert_whole(dead=EACH)
    history = happenings(read(box.lake))
    assert len(history) == 2 * EACH
    assert {(one.run_id, one.outcome, one.reason) for one in history} == {
        ("run-1", "failed", "missing_required"),
        ("run-2", "failed", "missing_required"),
    }
    box.replay()
    box.assert_whole()
    assert len(happenings(read(box.lake))) == 3 * EACH
