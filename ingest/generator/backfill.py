"""A stretch of the past, as fast as it can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Final

import numpy as np

from ingest.contracts.model import Contract
from ingest.generator.batch import Batch
from ingest.generator.draws import Ints
from ingest.generator.faults import Faults
from ingest.generator.message import Message
from ingest.generator.rhythm import HOUR_MS, Rhythm
from ingest.generator.simulation import VISIT_CONTRACTS, Simulation
from ingest.generator.sites import Site

_MARGIN_MS: Final = 2_000
"""Nothing happens in the last moments of the window, so that its messages are sent inside it."""

_TIMESTAMP: Final = itemgetter(Message._fields.index("timestamp_ms"))


@dataclass(frozen=True, slots=True)
class Backfill:
    """What to make: ``events`` events of the contracts, from ``start`` to ``end``, UTC."""

    start: datetime
    end: datetime
    events: int
    """Different events; messages sent twice come on top."""
    contracts: tuple[Contract, ...]
    sites: tuple[Site, ...]
    seed: int
    fault_rate: float = 0.0

    @property
    def start_ms(self) -> int:
        """The start, milliseconds since 1970."""
        return round(self.start.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """The end, milliseconds since 1970."""
        return round(self.end.timestamp() * 1000)


def backfill_messages(plan: Backfill) -> Iterator[Message]:
    """Yield the messages of a backfill in the order of their Kafka timestamps.

    The window is cut into stretches that hold equal numbers of events. A message that belongs
    into a later stretch (a long visit, a late event, a copy) waits until that one is made.
    """
    entropy = [plan.seed, plan.start_ms, plan.end_ms, plan.events]
    faults = Faults(
        plan.contracts, plan.fault_rate, np.random.default_rng([*entropy, 1]), plan.end_ms
    )
    simulation = Simulation(plan.sites, [c.name for c in plan.contracts], entropy)
    waiting: list[Message] = []
    for stretch_end_ms, batches in _stretches(plan, simulation):
        for batch in batches:
            waiting.extend(faults.messages(batch))
        waiting.sort(key=_TIMESTAMP)
        ready = len(waiting)
        while ready and waiting[ready - 1].timestamp_ms >= stretch_end_ms:
            ready -= 1
        yield from waiting[:ready]
        del waiting[:ready]
    yield from waiting


def _stretches(plan: Backfill, simulation: Simulation) -> Iterator[tuple[int, list[Batch]]]:
    """Yield the end of each stretch and the events of what begins in it."""
    rhythm = Rhythm(plan.start_ms, plan.end_ms - _MARGIN_MS)
    count = _stretch_count(plan)
    visits = _Quota(plan, simulation, VISIT_CONTRACTS, simulation.events_a_visit, simulation.visits)
    product = _Quota(
        plan,
        simulation,
        ("app_events",),
        simulation.events_a_product_session,
        lambda started_ms: [simulation.product(started_ms)],
    )
    ads = round(plan.events * simulation.share("ad_events"))
    for number in range(count):
        since, until = number / count, (number + 1) / count

        def at(moments: int, since: float = since, until: float = until) -> Ints:
            return rhythm.at(since + simulation.moments(moments) * (until - since))

        edges = rhythm.at(np.array([since, until]))
        simulation.members.catch_up(int(edges[0]))
        is_last = number == count - 1
        batches = visits.fill(until, at, is_last=is_last)
        batches += product.fill(until, at, is_last=is_last)
        shown = round(ads * until) - round(ads * since)
        if shown:
            batches.append(simulation.advertising(at(shown)))
        yield int(edges[1]), batches


def _stretch_count(plan: Backfill) -> int:
    """As many stretches as are quick to make: up to one an hour, 2,000 to 20,000 events each."""
    hours = max(1, (plan.end_ms - plan.start_ms) // HOUR_MS)
    fewest = -(-plan.events // 20_000)
    return int(max(1, fewest, min(hours, plan.events // 2_000)))


class _Quota:
    """Begins as many visits as a number of events needs, and cuts the last ones to fit.

    How many events a visit has is only known once it is made, so each stretch makes up for the
    one before. What is cut at the end are the latest events: visits that go on after the window.
    """

    def __init__(
        self,
        plan: Backfill,
        simulation: Simulation,
        contracts: Sequence[str],
        mean: float,
        make: Callable[[Ints], list[Batch]],
    ) -> None:
        self._latest_ms = plan.end_ms - _MARGIN_MS
        before = plan.events - round(plan.events * simulation.share("ad_events"))
        sessions = simulation.share(*VISIT_CONTRACTS, "app_events")
        own = simulation.share(*contracts)
        visits = round(before * simulation.share(*VISIT_CONTRACTS) / sessions) if sessions else 0
        self._total = (visits if contracts == VISIT_CONTRACTS else before - visits) if own else 0
        self._mean = mean
        self._make = make
        self._made = 0

    def fill(self, until: float, at: Callable[[int], Ints], *, is_last: bool) -> list[Batch]:
        """Make what is missing to the share ``until`` of all events."""
        batches: list[Batch] = []
        while (missing := round(self._total * until) - self._made) > 0:
            begun = round(missing / self._mean) if not is_last else int(missing / self._mean) + 1
            if begun == 0:
                break
            for batch in self._make(at(begun)):
                kept = batch.where(batch.occurred_ms <= self._latest_ms)
                self._made += len(kept)
                batches.append(kept)
            if not is_last:
                break
        return self._cut(batches, self._made - self._total) if is_last else batches

    def _cut(self, batches: list[Batch], surplus: int) -> list[Batch]:
        if surplus <= 0 or not batches:
            return batches
        times = np.concatenate([batch.occurred_ms for batch in batches])
        keep = np.ones(len(times), dtype=bool)
        keep[np.argsort(times, kind="stable")[len(times) - surplus :]] = False
        edges = np.cumsum([len(batch) for batch in batches])[:-1]
        return [
            batch.where(kept) for batch, kept in zip(batches, np.split(keep, edges), strict=True)
        ]
