"""Where reading begins, and what only a person can decide."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lake.errors import OffsetGapError
from lake.journal import Entry, Journal
from lake.writer.source import Source
from lake.writer.start import NO_ID, Offered, Start, StartingPoints
from tests.lake.writer.bench import P0, TOPIC, Bench, Polled, batch, visit

KEY = (TOPIC, 0)


def find(
    bench: Bench, offered: Offered, *, accept: bool = False, true_end: int | None = None
) -> Start:
    sink = bench.sink()

    def true_ends(keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(keys, offered.end if true_end is None else true_end)

    points = StartingPoints(
        Journal(bench.lake, "lakeward"), sink.take_over, sink.look, true_ends, accept_gap=accept
    )
    return points.find({KEY: offered})[KEY]


def store(bench: Bench, source: Source, upto: int) -> None:
    sink = bench.sink()
    sink.take_over([source])
    sink.write(batch((source, None, [visit(source, offset) for offset in range(upto + 1)])))


def journal(bench: Bench) -> list[Entry]:
    return Journal(bench.lake, "lakeward").entries()


def kinds(bench: Bench) -> list[str]:
    return [entry.kind for entry in journal(bench)]


def test_a_new_topic_is_read_from_its_first_offset(bench: Bench) -> None:
    assert find(bench, Offered("id-1", 0, 10)) == Start(P0, None, 0)
    assert [(e.kind, e.source, e.first_offset) for e in journal(bench)] == [
        ("topic_first_seen", P0, 0)
    ]


def test_a_new_topic_whose_first_messages_have_expired_is_read_from_what_is_left(
    bench: Bench,
) -> None:
    assert find(bench, Offered("id-1", 40, 50)) == Start(P0, None, 40)


def test_reading_goes_on_after_the_stored_offset(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 4)
    assert find(bench, Offered("id-1", 0, 10)) == Start(P0, 4, 5)
    assert kinds(bench) == ["topic_first_seen"]


def test_stored_offset_zero_is_not_taken_for_nothing(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 0)
    assert find(bench, Offered("id-1", 0, 10)) == Start(P0, 0, 1)


def test_reading_goes_on_at_the_very_end_of_a_topic(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 9)
    assert find(bench, Offered("id-1", 0, 10)).first == 10
    assert find(bench, Offered("id-1", 10, 10)).first == 10


def test_an_end_that_a_broker_tells_too_low_is_checked_before_refusing(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 1))
    store(bench, P0, 9)
    assert find(bench, Offered("id-1", 0, 1), true_end=10) == Start(P0, 9, 10)


def test_expired_offsets_are_refused_with_both_numbers(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 4)
    with pytest.raises(OffsetGapError, match=r"offset 4, and Kafka begins at 8: the 3 offsets"):
        find(bench, Offered("id-1", 8, 10))
    assert kinds(bench) == ["topic_first_seen"]


def test_an_accepted_gap_is_journalled_once_and_named_by_the_audit(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 4)
    assert find(bench, Offered("id-1", 8, 10), accept=True) == Start(P0, 4, 8)
    gap = journal(bench)[-1]
    assert (gap.kind, gap.first_offset, gap.last_offset) == ("gap_accepted", 5, 7)
    # nothing was written since: the same gap is not asked about, nor noted, again
    assert find(bench, Offered("id-1", 8, 10)) == Start(P0, 4, 8)
    assert kinds(bench).count("gap_accepted") == 1

    from lake.writer.batch import Part

    sink = bench.sink()
    sink.take_over([P0])
    messages = [visit(P0, 8), visit(P0, 9)]
    sink.write(Polled("id-1", (Part(P0, 4, 8, 9),), messages))
    report = bench.audit()
    assert report.is_clean, report.findings
    assert report.partitions[0].accepted_gap == 3


def test_messages_that_expired_before_the_first_commit_are_refused_too(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    with pytest.raises(OffsetGapError, match="nothing is stored yet"):
        find(bench, Offered("id-1", 6, 10))
    assert find(bench, Offered("id-1", 6, 10), accept=True) == Start(P0, None, 6)


def test_a_recreated_topic_is_refused_with_both_numbers_and_ids(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 9)
    with pytest.raises(
        OffsetGapError, match=r"\(id id-1\) up to offset 9.*\(id id-2\).* 0 up to 3"
    ) as caught:
        find(bench, Offered("id-2", 0, 3))
    assert "--accept-gap" in (caught.value.hint or "")


def test_a_recreated_topic_with_more_messages_than_the_old_one_is_noticed(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 4)
    with pytest.raises(OffsetGapError, match="deleted and made again"):
        find(bench, Offered("id-2", 0, 1000))


def test_an_accepted_recreation_reads_the_new_topic_from_its_start(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 4)
    renewed = Source(TOPIC, "id-2", 0)
    assert find(bench, Offered("id-2", 0, 3), accept=True) == Start(renewed, None, 0)
    store(bench, renewed, 2)
    assert find(bench, Offered("id-2", 0, 3)) == Start(renewed, 2, 3)
    report = bench.audit()
    assert report.is_clean, report.findings
    assert [(p.source, p.is_current, p.stored) for p in report.partitions] == [
        (P0, False, 4),
        (renewed, True, 2),
    ]


def test_a_recreated_topic_of_which_nothing_was_stored_needs_no_decision(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 0))
    assert find(bench, Offered("id-2", 0, 3)) == Start(Source(TOPIC, "id-2", 0), None, 0)
    assert kinds(bench) == ["topic_first_seen", "topic_recreated"]


def test_a_topic_that_ends_before_the_stored_offset_is_refused(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 9)
    with pytest.raises(OffsetGapError, match="offset 9, and Kafka ends before 4"):
        find(bench, Offered("id-1", 0, 4))


def test_offsets_given_out_anew_after_a_lost_end_do_not_meet_the_old_ones(bench: Bench) -> None:
    find(bench, Offered("id-1", 0, 10))
    store(bench, P0, 9)
    renewed = Source(TOPIC, "id-1#1", 0)
    assert find(bench, Offered("id-1", 0, 4), accept=True) == Start(renewed, None, 4)
    sink = bench.sink()
    from lake.writer.batch import Part

    assert find(bench, Offered("id-1", 0, 6)) == Start(renewed, None, 4)
    sink.take_over([renewed])
    messages = [visit(renewed, 4), visit(renewed, 5)]
    sink.write(Polled("id-1#1", (Part(renewed, None, 4, 5),), messages))
    assert find(bench, Offered("id-1", 0, 6)) == Start(renewed, 5, 6)
    assert bench.audit().is_clean


def test_a_recreated_topic_on_a_broker_without_topic_ids_is_read_from_its_start(
    bench: Bench,
) -> None:
    old = Source(TOPIC, NO_ID, 0)
    find(bench, Offered(NO_ID, 0, 10))
    store(bench, old, 9)
    with pytest.raises(OffsetGapError, match="made again, or its end was lost"):
        find(bench, Offered(NO_ID, 0, 4))
    renewed = Source(TOPIC, f"{NO_ID}#1", 0)
    assert find(bench, Offered(NO_ID, 0, 4), accept=True) == Start(renewed, None, 0)


def test_every_partition_with_a_gap_is_named_at_once(bench: Bench) -> None:
    sink = bench.sink()
    points = StartingPoints(
        Journal(bench.lake, "lakeward"), sink.take_over, sink.look, dict.fromkeys, accept_gap=False
    )
    other = Source(TOPIC, "id-1", 1)
    points.find({KEY: Offered("id-1", 0, 1), (TOPIC, 1): Offered("id-1", 0, 1)})
    store(bench, P0, 0)
    store(bench, other, 0)
    with pytest.raises(OffsetGapError) as caught:
        points.find({KEY: Offered("id-1", 5, 9), (TOPIC, 1): Offered("id-1", 6, 9)})
    assert "visits[0]" in caught.value.message
    assert "visits[1]" in caught.value.message


def test_a_clock_that_is_turned_back_does_not_reorder_the_journal(bench: Bench) -> None:
    import datetime as dt

    times = iter([dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (3, 2, 1)])
    kept = Journal(bench.lake, "lakeward", now=lambda: next(times))
    renewed = Source(TOPIC, "id-2", 0)
    kept.write([kept.entry("topic_first_seen", P0, 0, None)])
    kept.write([kept.entry("topic_recreated", renewed, 0, None)])
    kept.write([kept.entry("gap_accepted", renewed, 0, 4)])
    assert [entry.kind for entry in kept.entries()] == [
        "topic_first_seen",
        "topic_recreated",
        "gap_accepted",
    ]
