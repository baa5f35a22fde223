"""People who have signed up and come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.generator.draws import Ints, Objects
from ingest.generator.world import World

_REMEMBERED = 50_000
"""Members that may come back; the longest-standing are forgotten first."""


@dataclass(slots=True)
class Members:
    """Who may come back; nobody does before the moment of their own sign-up."""

    ids: Objects
    sites: Ints
    _new_ids: Objects
    _new_sites: Ints
    _new_at: Ints

    @classmethod
    def of(cls, world: World) -> Members:
        """Start with those who had signed up before the first event."""
        none = np.empty(0, dtype=np.int64)
        return cls(world.old_members, world.old_member_sites, np.empty(0, dtype=object), none, none)

    def sign_up(self, ids: Objects, sites: Ints, at_ms: Ints) -> None:
        """Note sign-ups; they count from ``at_ms`` on."""
        self._new_ids = np.concatenate([self._new_ids, ids])
        self._new_sites = np.concatenate([self._new_sites, sites])
        self._new_at = np.concatenate([self._new_at, at_ms])

    def catch_up(self, now_ms: int) -> None:
        """Let those who have signed up before ``now_ms`` come back from now on."""
        ready = self._new_at < now_ms
        if not ready.any():
            return
        self.ids = np.concatenate([self.ids, self._new_ids[ready]])[-_REMEMBERED:]
        self.sites = np.concatenate([self.sites, self._new_sites[ready]])[-_REMEMBERED:]
        self._new_ids = self._new_ids[~ready]
        self._new_sites = self._new_sites[~ready]
        self._new_at = self._new_at[~ready]

    def draw(self, rng: np.random.Generator, count: int) -> Ints:
        """Draw indices of members; the newer ones are likelier to come back."""
        recency = np.sqrt(rng.random(count))
        return np.minimum((recency * len(self.ids)).astype(np.int64), len(self.ids) - 1)
