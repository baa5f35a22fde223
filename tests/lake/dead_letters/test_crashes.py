"""Replays that die, lose their answer, or meet others at the worst moment: one row a letter.

Three commits make a replay: the rows, what the history says of them, and the failures. Something
happens at one of them, the lake is looked at, and then the replay is simply run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lake.dead_letters.history
import lake.dead_letters.landing
import lake.maintenance.compaction
import lake.writer.commit
from lake.dead_letters.history import happenings, read, settle
from lake.delta_log import read_commit_infos
from lake.maintenance.compaction import compact
from lake.maintenance.fold import fold
from lake.maintenance.groups import groups
from lake.tables import Lake
from lake.writer.commit import METADATA_KEY
from tests.lake.dead_letters.letterbox import EACH, Letterbox, without_time
from tests.lake.writer.bench import P0, batch, visit


class Killed(BaseException):
    """The process is gone: nothing catches it."""


class Fault:
    """Stands in for ``write_deltalake``: something happens at one of its calls."""

    def __init__(self, at: int, happens: Callable[[Callable[[], None]], None]) -> None:
        self._left = at
        self._happens = happens

    def __call__(self, table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        self._left -= 1
        if self._left == -1:
            self._happens(lambda: write_deltalake(table, *args, **kwargs))
        else:
            write_deltalake(table, *args, **kwargs)


def dies_before(_: Callable[[], None]) -> None:
    raise Killed


def dies_after(write: Callable[[], None]) -> None:
    write()
    raise Killed


def loses_its_answer(write: Callable[[], None]) -> None:
    write()
    raise CommitFailedError("the answer was lost")


def does_not_land(_: Callable[[], None]) -> None:
    raise CommitFailedError("no")


@contextmanager
def fault(at: int, happens: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    it = Fault(at, happens)
    with (
        patch.object(lake.dead_letters.landing, "write_deltalake", it),
        patch.object(lake.dead_letters.history, "write_deltalake", it),
    ):
        yield


def assert_stamps_grow(box: Letterbox) -> None:
    table = box.lake.open("bronze", "visits")
    infos = read_commit_infos(table, -1, box.lake.storage_options)
    stamps = [json.loads(i[METADATA_KEY])["committed_at"] for _, i in infos if METADATA_KEY in i]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("happens", [dies_before, dies_after, loses_its_answer, does_not_land])
def test_whatever_happens_at_a_commit_a_letter_becomes_one_row(
    box: Letterbox, at: int, happens: Callable[[Callable[[], None]], None]
) -> None:
    # half of the letters fail: their tenant is not known
    with fault(at, happens), suppress(Killed, CommitFailedError):
        box.replay(tenants=frozenset({"acme"}))
    report = box.bench.audit()  # whole at any moment, not only in the end
    assert report.is_clean, report.findings
    assert report.messages == report.rows + report.dead + report.erased
    box.replay()
    box.assert_whole()
    outcomes = [(o.source, o.offset) for o in happenings(read(box.lake)) if o.outcome == "replayed"]
    assert len(outcomes) == len(set(outcomes)) == EACH
    assert_stamps_grow(box)


def another_replay(box: Letterbox) -> None:
    box.replay()


def a_writer(box: Letterbox) -> None:
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    assert held is not None
    sink.write(batch((P0, held, [visit(P0, held + 1), without_time(P0, held + 2)])))


def a_compaction(box: Letterbox) -> None:
    few = partial(groups, fewest=2)
    with patch.object(lake.maintenance.compaction, "groups", few):
        compact(box.lake, "bronze", "visits", target_size=2**20, now=box.now)


@pytest.mark.parametrize("intruder", [another_replay, a_writer, a_compaction])
def test_who_commits_between_check_and_commit_makes_a_replay_look_again(
    box: Letterbox, intruder: Callable[[Letterbox], None]
) -> None:
    a_writer(box)

    def meanwhile(write: Callable[[], None]) -> None:
        with (
            patch.object(lake.dead_letters.landing, "write_deltalake", write_deltalake),
            patch.object(lake.dead_letters.history, "write_deltalake", write_deltalake),
        ):
            intruder(box)
        with pytest.raises(CommitFailedError):
            write()
        raise CommitFailedError("somebody was quicker")

    with fault(0, meanwhile):
        box.replay()
    assert set(box.offsets().values()) == {1}
    assert box.bench.audit().is_clean
    assert_stamps_grow(box)


def test_a_writer_that_a_replay_overtakes_stamps_its_rows_later(box: Letterbox) -> None:
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    overtaken: list[int] = []

    def slow(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        if not overtaken:
            overtaken.append(box.replay().replayed.total())
        write_deltalake(table, *args, **kwargs)

    with patch.object(lake.writer.commit, "write_deltalake", slow):
        sink.write(batch((P0, held, [visit(P0, EACH)])))
    assert overtaken == [EACH]
    assert box.offsets()[0, EACH] == 1
    assert_stamps_grow(box)
    assert box.bench.audit().is_clean


def test_letters_ahead_of_the_position_are_left_to_the_writer(box: Letterbox) -> None:
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    with (
        patch.object(sink._bronze, "commit", side_effect=Killed),
        pytest.raises(Killed),
    ):
        sink.write(batch((P0, held, [without_time(P0, EACH)])))
    assert box.replay().unsettled == 1
    assert (0, EACH) not in box.offsets()
    again = box.bench.sink()
    held = box.bench.take_over(again, P0)[P0]
    again.write(batch((P0, held, [without_time(P0, EACH)])))
    assert box.replay().replayed == {"visits": 1}
    assert box.bench.audit().is_clean


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["replay", "fail", "write", "compact", "fold", "settle", "purge"]),
        st.integers(0, 2),
        st.sampled_from([dies_before, dies_after, loses_its_answer, does_not_land, None]),
    ),
    min_size=2,
    max_size=6,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_is_done_in_whatever_order_the_audit_stays_whole(
    steps: list[tuple[str, int, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    box = Letterbox.filled(Lake(str(tmp_path_factory.mktemp("steps"))))
    for what, at, happens in steps:
        with suppress(Killed, CommitFailedError), fault(at, happens or (lambda write: write())):
            _do(box, what)
        report = box.bench.audit()
        assert report.is_clean, (what, report.findings)
        assert report.messages == report.rows + report.dead + report.erased
        assert set(box.offsets().values()) == {1}
        assert_stamps_grow(box)


def _do(box: Letterbox, what: str) -> None:
    table = box.lake.open("bronze", "visits")
    if what == "replay":
        box.replay(limit=7)
    elif what == "fail":
        box.replay(None, limit=3)
    elif what == "write":
        a_writer(box)
    elif what == "compact":
        a_compaction(box)
    elif what == "settle":
        settle(box.lake, "visits", table)
    elif what == "fold":
        fold(box.lake, "visits", table)
    else:
        box.purge()
