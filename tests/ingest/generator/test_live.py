from __future__ import annotations

from collections import Counter

import pytest

from ingest.contracts.model import Contract
from ingest.generator.live import Live, live_messages
from ingest.generator.message import Message
from ingest.generator.sites import load_sites

START = 1_750_000_000_000


class Clock:
    def __init__(self, *, sleeps_through: tuple[int, int] | None = None) -> None:
        self.now = START
        self._pause = sleeps_through

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds
        if self._pause is not None and self.now - START >= self._pause[0]:
            self.now += self._pause[1]
            self._pause = None


def watch(plan: Live, clock: Clock) -> list[tuple[int, Message]]:
    """Each message with the time at which it came."""
    return [
        (clock.now, message)
        for message in live_messages(plan, lambda: clock.now, clock.wait)
        if message is not None
    ]


def live(
    contracts: tuple[Contract, ...], per_minute: float, minutes: float, faults: float = 0
) -> Live:
    return Live(per_minute, START, round(minutes * 60_000), contracts, load_sites(), 3, faults)


@pytest.mark.parametrize("per_minute", [60, 500, 6_000])
def test_the_rate_is_met_in_every_minute(contracts: tuple[Contract, ...], per_minute: int) -> None:
    seen = watch(live(contracts, per_minute, 6), Clock())
    minutes = Counter(min(5, (at - START) // 60_000) for at, _ in seen)
    assert all(minutes[n] == pytest.approx(per_minute, rel=0.1, abs=12) for n in range(6))


def test_a_message_comes_when_its_time_has_come(contracts: tuple[Contract, ...]) -> None:
    for at, message in watch(live(contracts, 3_000, 3), Clock()):
        assert 0 <= at - message.timestamp_ms < 500


def test_visits_begin_before_they_go_on(contracts: tuple[Contract, ...]) -> None:
    seen = watch(live(contracts, 2_000, 8), Clock())
    reached: dict[str, set[str]] = {}
    for _, message in seen:
        if message.contract in ("clickstream", "registrations", "conversions"):
            contracts_seen = reached.setdefault(message.payload["session_id"], set())
            if message.contract in ("registrations", "conversions"):
                assert "clickstream" in contracts_seen
            contracts_seen.add(message.contract)
    assert sum("conversions" in kinds for kinds in reached.values()) > 20


def test_the_mix_is_that_of_a_backfill_once_visits_have_ended(
    contracts: tuple[Contract, ...],
) -> None:
    seen = watch(live(contracts, 900, 30), Clock())
    counts = Counter(m.contract for at, m in seen if at > START + 15 * 60_000)
    total = sum(counts.values())
    assert counts["clickstream"] / total == pytest.approx(0.68, abs=0.03)
    assert counts["registrations"] / total == pytest.approx(0.08, abs=0.02)
    assert counts["conversions"] / total == pytest.approx(0.04, abs=0.015)


def test_the_same_clock_gives_the_same_messages(contracts: tuple[Contract, ...]) -> None:
    plan = live(contracts, 600, 2, faults=0.2)
    assert watch(plan, Clock()) == watch(plan, Clock())


def test_late_events_of_a_live_run_are_dated_days_ago(contracts: tuple[Contract, ...]) -> None:
    seen = watch(live(contracts, 6_000, 3, faults=0.3), Clock())
    faults = Counter(m.fault for _, m in seen)
    assert min(faults[f] for f in ("late", "future", "duplicate", "broken")) > 10
    clicks = [m for _, m in seen if m.contract == "clickstream" and m.fault == "late"]
    assert clicks
    for message in clicks:
        assert message.payload["timestamp"] < "2025-06-15"  # it was sent on that day


def test_a_pause_of_the_machine_is_not_caught_up(contracts: tuple[Contract, ...]) -> None:
    clock = Clock(sleeps_through=(60_000, 3_600_000))
    seen = watch(live(contracts, 600, 63), clock)
    assert 600 * 2 < len(seen) < 600 * 8


def test_contracts_that_come_late_in_a_visit_do_not_run_away(
    contracts: tuple[Contract, ...],
) -> None:
    chosen = tuple(c for c in contracts if c.name == "registrations")
    seen = watch(live(chosen, 200, 30), Clock())
    assert Counter((at - START) // 60_000 for at, _ in seen)[29] == pytest.approx(200, rel=0.4)
