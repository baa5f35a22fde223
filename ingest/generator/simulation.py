"""Visits, advertising and product use: what happens when they begin at given times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ingest.generator.advertising import make_ad_events
from ingest.generator.batch import Batch
from ingest.generator.draws import Floats, Ints
from ingest.generator.members import Members
from ingest.generator.product import MEAN_EVENTS as MEAN_APP_EVENTS
from ingest.generator.product import make_app_events
from ingest.generator.sessions import MEAN_EVENTS, make_sessions
from ingest.generator.sites import Site
from ingest.generator.world import make_world

SHARES: Final = {
    "clickstream": 0.680,
    "registrations": 0.080,
    "conversions": 0.040,
    "ad_events": 0.100,
    "app_events": 0.100,
}
"""Of all events; the first three are 85 : 10 : 5 among themselves."""

VISIT_CONTRACTS: Final = ("clickstream", "registrations", "conversions")


class Simulation:
    """Makes events; everything follows from ``entropy`` and the order of calls."""

    def __init__(
        self, sites: Sequence[Site], contracts: Sequence[str], entropy: Sequence[int]
    ) -> None:
        self._rng = np.random.default_rng(np.random.SeedSequence(list(entropy)))
        self.contracts = tuple(contracts)
        self.world = make_world(sites, self._rng)
        self.members = Members.of(self.world)
        self._run = self._rng.bytes(4).hex()
        self._visits = 0

    def share(self, *contracts: str) -> float:
        """Return the share that these contracts have of what this simulation makes."""
        chosen = sum(SHARES[c] for c in contracts if c in self.contracts)
        return chosen / sum(SHARES[c] for c in self.contracts)

    @property
    def events_a_visit(self) -> float:
        """How many events of the chosen contracts a visit has on average."""
        chosen = sum(SHARES[c] for c in VISIT_CONTRACTS if c in self.contracts)
        return MEAN_EVENTS * chosen / sum(SHARES[c] for c in VISIT_CONTRACTS)

    @property
    def events_a_product_session(self) -> float:
        """How many product events a session has on average."""
        return MEAN_APP_EVENTS

    def visits(self, started_ms: Ints) -> list[Batch]:
        """Return the events of visits that begin at these times."""
        ids = [
            f"{self._run}-{number:08x}"
            for number in range(self._visits, self._visits + len(started_ms))
        ]
        self._visits += len(started_ms)
        batches = make_sessions(self.world, self.members, self._rng, started_ms, ids)
        return [batch for batch in batches if batch.contract in self.contracts]

    def advertising(self, occurred_ms: Ints) -> Batch:
        """Return one advertising event for each time."""
        return make_ad_events(self.world, self.members, self._rng, occurred_ms)

    def product(self, started_ms: Ints) -> Batch:
        """Return the product events of sessions that begin at these times."""
        return make_app_events(self.world, self.members, self._rng, started_ms)

    def moments(self, count: int) -> Floats:
        """Draw ``count`` moments between 0, the start of a stretch, and 1, its end, in order."""
        return np.sort(self._rng.random(count))

    def about(self, mean: float) -> int:
        """Draw a whole number that is ``mean`` on average."""
        return int(self._rng.poisson(mean))

    def split(self, count: int, weights: Floats) -> list[int]:
        """Split ``count`` beginnings at random, by weights that add up to 1."""
        return [int(part) for part in self._rng.multinomial(count, weights)]
