"""A dead letter that is replayed becomes one row, on a disk and on an object store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake.dead_letters.export import export
from lake.dead_letters.history import happenings, read
from lake.dead_letters.mirror import mirror
from lake.dead_letters.selection import Selection
from lake.tables import Lake
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.dead_letters.letterbox import EACH, Letterbox, without_time
from tests.lake.writer.bench import MADE_AT, P0, batch


@pytest.fixture
def box(make_lake: Callable[[], Lake]) -> Letterbox:
    return Letterbox.filled(make_lake())


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


def test_letters_are_taken_out_and_let_go_and_the_audit_accounts_for_them(
    box: Letterbox, tmp_path: Path
) -> None:
    box.replay(limit=EACH // 2)
    out = tmp_path / "letters.parquet"
    assert export(box.lake, Selection(), out, "parquet") == EACH
    assert {len(history or []) for history in pq.read_table(out)["history"].to_pylist()} == {0, 1}
    heard: list[tuple[int, int]] = []
    gone = box.purge(
        Selection(standing=frozenset({"waiting"})),
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert (gone.letters, box.letters()) == (EACH // 2, EACH // 2)
    assert heard[-1] == (EACH // 2, EACH // 2)
    report = box.bench.audit()
    assert report.is_clean, report.findings
    assert (report.rows, report.dead, report.erased) == (EACH + EACH // 2, 0, EACH // 2)


def test_new_letters_are_mirrored_and_no_others(
    box: Letterbox, embedded_kafka: KafkaForTest
) -> None:
    topic = embedded_kafka.unique("mirror")
    first = mirror(embedded_kafka.settings, box.lake, topic)
    assert (first.letters, first.from_version) == (EACH, None)
    assert mirror(embedded_kafka.settings, box.lake, topic).letters == 0
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    sink.write(batch((P0, held, [without_time(P0, EACH)])))
    again = mirror(embedded_kafka.settings, box.lake, topic)
    assert (again.letters, again.from_version) == (1, first.to_version)
