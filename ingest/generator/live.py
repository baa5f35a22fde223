"""Events that happen now, at a rate, for as long as it is wanted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.contracts.model import Contract
from ingest.generator.batch import Batch
from ingest.generator.draws import Ints
from ingest.generator.faults import Faults
from ingest.generator.message import Message
from ingest.generator.simulation import VISIT_CONTRACTS, Simulation
from ingest.generator.sites import Site

TICK_MS: Final = 200
"""How often new visits begin and what is due is sent."""

_AHEAD_MS: Final = 1_000
"""How far ahead the rate is planned: a visit's first event comes up to this long after it began."""

_LONGEST_PAUSE_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Live:
    """What to make: a number of events a minute, from ``start_ms`` on."""

    per_minute: float
    start_ms: int
    """Milliseconds since 1970 UTC."""
    duration_ms: int | None
    """None means until the caller stops."""
    contracts: tuple[Contract, ...]
    sites: tuple[Site, ...]
    seed: int
    fault_rate: float = 0.0


def live_messages(
    plan: Live, now_ms: Callable[[], int], wait_ms: Callable[[int], None]
) -> Iterator[Message | None]:
    """Yield messages when they are due; None at the end of each tick, to send and show them.

    Args:
        plan: what to make.
        now_ms: the time, milliseconds since 1970 UTC.
        wait_ms: sleeps for so many milliseconds; raising ends the run.
    """
    crowd = _Crowd(plan)
    end_ms = None if plan.duration_ms is None else plan.start_ms + plan.duration_ms
    tick_ms = plan.start_ms
    while end_ms is None or tick_ms < end_ms:
        until_ms = tick_ms + TICK_MS if end_ms is None else min(tick_ms + TICK_MS, end_ms)
        crowd.begin(tick_ms, until_ms)
        behind_ms = now_ms() - until_ms
        if behind_ms < 0:
            wait_ms(-behind_ms)
        yield from crowd.leave(until_ms)
        yield None
        # After a pause (a laptop that slept) go on from now; what was missed stays missed.
        tick_ms = until_ms + (behind_ms if behind_ms > _LONGEST_PAUSE_MS else 0)


class _Crowd:
    """The visits under way, and what of them is still to be sent.

    A visit goes on for minutes, so what is due now comes mostly from visits begun before. New
    ones begin as far as the rate leaves room: many at first, then as many as end.
    """

    def __init__(self, plan: Live) -> None:
        entropy = [plan.seed, plan.start_ms]
        names = [contract.name for contract in plan.contracts]
        self._simulation = Simulation(plan.sites, names, entropy)
        self._faults = Faults(
            plan.contracts, plan.fault_rate, np.random.default_rng([*entropy, 1]), end_ms=None
        )
        self._per_ms = plan.per_minute / 60_000
        self._soon: list[tuple[int, int, Message]] = []
        self._later: list[tuple[int, int, Message]] = []
        self._made = 0
        self._wanted = self._per_ms * _AHEAD_MS
        self._sent = 0
        simulation = self._simulation
        begun = np.array(
            [
                simulation.share(*VISIT_CONTRACTS) / max(simulation.events_a_visit, 1e-9),
                simulation.share("app_events") / simulation.events_a_product_session,
                simulation.share("ad_events"),
            ]
        )
        self._begun_an_event = float(begun.sum())
        self._weights = begun / begun.sum()
        # A sign-up or a purchase comes minutes after its visit began: room says nothing then.
        self._knows_room = "clickstream" in names or not set(VISIT_CONTRACTS) & set(names)

    def begin(self, since_ms: int, until_ms: int) -> None:
        """Begin visits between two moments, as many as the rate leaves room for."""
        step_ms = until_ms - since_ms
        self._wanted += self._per_ms * step_ms
        horizon_ms = until_ms + _AHEAD_MS
        self._simulation.members.catch_up(since_ms)
        while self._later and self._later[0][0] < horizon_ms:
            heapq.heappush(self._soon, heapq.heappop(self._later))
        if self._knows_room:
            count = int(max(0.0, self._wanted - self._sent - len(self._soon)))
        else:
            count = self._simulation.about(self._per_ms * step_ms * self._begun_an_event)
        for batch in self._batches(count, since_ms, step_ms):
            for message in self._faults.messages(batch):
                queue = self._soon if message.timestamp_ms < horizon_ms else self._later
                heapq.heappush(queue, (message.timestamp_ms, self._made, message))
                self._made += 1

    def leave(self, until_ms: int) -> Iterator[Message]:
        """Yield what is due before a moment, in order."""
        while self._soon and self._soon[0][0] < until_ms:
            self._sent += 1
            yield heapq.heappop(self._soon)[2]

    def _batches(self, count: int, since_ms: int, step_ms: int) -> list[Batch]:
        visits, sessions, shown = self._simulation.split(count, self._weights)

        def times(number: int) -> Ints:
            moments = since_ms + self._simulation.moments(number) * step_ms
            return moments.astype(np.int64)

        batches = self._simulation.visits(times(visits)) if visits else []
        if sessions:
            batches.append(self._simulation.product(times(sessions)))
        if shown:
            batches.append(self._simulation.advertising(times(shown)))
        return batches
