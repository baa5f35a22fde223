"""Advertisements that people saw, clicked, or followed to a conversion."""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.generator.batch import Batch
from ingest.generator.draws import Ints, hex_ids, iso_times, objects, only_where, pick, uuids
from ingest.generator.members import Members
from ingest.generator.world import CAMPAIGN_WEIGHTS, CAMPAIGNS, World

EVENTS: Final = ("impression", "click", "conversion")
EVENT_WEIGHTS: Final = (80, 15, 5)
_LEAST_USD: Final = np.array([0.0, 0.5, 5.0])
_MOST_USD: Final = np.array([0.0, 2.0, 20.0])
"""What an event costs, by kind: nothing, 0.50 to 2, 5 to 20."""

_CHANNELS: Final = ("google_ads", "facebook_ads", "tiktok", "email")
_CHANNEL_WEIGHTS: Final = (40, 30, 18, 12)
_MEMBER_SHARE: Final = 0.3
_UNKNOWN_SHARE: Final = 0.1


def make_ad_events(
    world: World, members: Members, rng: np.random.Generator, occurred_ms: Ints
) -> Batch:
    """Make one advertising event for each time."""
    count = len(occurred_ms)
    event = pick(rng, EVENT_WEIGHTS, count)
    member = members.draw(rng, count)
    who = rng.random(count)
    strangers = objects([f"u-{h}" for h in hex_ids(rng, count)])
    site = np.where(
        who < _MEMBER_SHARE, members.sites[member], pick(rng, world.site_weights, count)
    )
    user = np.where(who < _MEMBER_SHARE, members.ids[member], strangers)
    user = only_where(who < 1 - _UNKNOWN_SHARE, user)
    cost = np.round(rng.uniform(_LEAST_USD[event], _MOST_USD[event]), 2)
    columns = {
        "tenant_id": world.tenant_ids[site].tolist(),
        "event_id": uuids(rng, count),
        "user_id": user.tolist(),
        "occurred_at": iso_times(occurred_ms),
        "campaign_id": objects(CAMPAIGNS)[pick(rng, CAMPAIGN_WEIGHTS, count)].tolist(),
        "channel": objects(_CHANNELS)[pick(rng, _CHANNEL_WEIGHTS, count)].tolist(),
        "event": objects(EVENTS)[event].tolist(),
        "cost": cost.tolist(),
    }
    return Batch("ad_events", occurred_ms, occurred_ms + rng.integers(20, 900, size=count), columns)
