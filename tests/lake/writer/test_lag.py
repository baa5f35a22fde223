"""How far behind: in messages and in seconds, without a false alarm on quiet topics."""

from __future__ import annotations

from lake.writer.lag import Lag, Lags
from lake.writer.source import Source

P0 = Source("visits", "id-1", 0)
P1 = Source("visits", "id-1", 1)


def test_a_partition_whose_end_nobody_heard_has_no_lag() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    assert lags.now(100.0) == []


def test_the_age_is_that_of_the_oldest_message_not_in_the_tables() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    lags.polled(P0, 4, 10.0)
    lags.polled(P0, 9, 30.0)
    lags.heard({P0: 12}, 40.0)
    assert lags.now(50.0) == [Lag(P0, 12, 40.0)]
    lags.settled({P0: 4})
    assert lags.now(50.0) == [Lag(P0, 7, 20.0)]
    lags.settled({P0: 9})
    lags.heard({P0: 12}, 55.0)  # 10 and 11 are in Kafka, and nobody polled them
    assert lags.now(60.0) == [Lag(P0, 2, 5.0)]
    lags.settled({P0: 11})
    assert lags.now(60.0) == [Lag(P0, 0, 0.0)]


def test_part_of_a_poll_in_the_tables_leaves_the_age_of_that_poll() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    lags.polled(P0, 9, 10.0)
    lags.heard({P0: 10}, 20.0)
    lags.settled({P0: 4})
    assert lags.now(20.0) == [Lag(P0, 5, 10.0)]


def test_a_new_message_on_a_topic_that_was_quiet_for_an_hour_is_no_hour_behind() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    lags.polled(P0, 0, 0.0)
    lags.heard({P0: 1}, 0.0)
    lags.settled({P0: 0})
    assert lags.now(3600.0) == [Lag(P0, 0, 0.0)]
    lags.heard({P0: 2}, 3600.0)
    assert lags.now(3601.0) == [Lag(P0, 1, 1.0)]


def test_a_backlog_seen_twice_is_as_old_as_when_it_was_seen_first() -> None:
    lags = Lags()
    lags.begin(P0, 5)
    lags.heard({P0: 9}, 100.0)
    lags.heard({P0: 12}, 130.0)
    assert lags.now(160.0) == [Lag(P0, 7, 60.0)]


def test_a_message_from_the_future_is_zero_seconds_old() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    lags.polled(P0, 0, 10_000.0)
    lags.heard({P0: 1}, 50.0)
    assert lags.now(50.0) == [Lag(P0, 1, 0.0)]


def test_offset_zero_in_the_tables_counts() -> None:
    lags = Lags()
    lags.begin(P0, 0)
    lags.heard({P0: 1}, 0.0)
    lags.settled({P0: 0})
    assert lags.now(9.0) == [Lag(P0, 0, 0.0)]


def test_a_dropped_partition_is_gone_and_one_begun_again_forgets() -> None:
    lags = Lags()
    for source in (P0, P1):
        lags.begin(source, 0)
        lags.polled(source, 9, 0.0)
        lags.heard({source: 10}, 0.0)
    lags.drop(P0)
    lags.begin(P1, 8)
    lags.heard({P1: 10, P0: 99}, 50.0)
    lags.polled(P0, 98, 0.0)
    lags.settled({P0: 98})
    assert lags.now(60.0) == [Lag(P1, 2, 10.0)]
    assert len(lags) == 1
