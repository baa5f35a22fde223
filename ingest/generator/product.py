"""What members do in the products: web, mobile and chat, and what servers report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ingest.experiments import assign, draw
from ingest.generator.batch import Batch
from ingest.generator.draws import (
    Ints,
    Objects,
    hex_ids,
    iso_times,
    objects,
    only_where,
    pick,
    uuids,
)
from ingest.generator.members import Members
from ingest.generator.world import DEVICES, World

CHANNELS: Final = ("web", "mobile", "chat", "server")
_CHANNEL_WEIGHTS: Final = (45, 35, 12, 8)
_WEB, _MOBILE, _CHAT, _SERVER = range(4)

_EVENT_TYPES: Final = (
    ("page_view", "button_click", "search", "price_alert_set", "sign_out"),
    ("screen_view", "button_tap", "push_opened", "biometric_sign_in", "app_background"),
    ("message", "message_reply", "conversation_start", "handover_to_agent", "rating_given"),
    ("email_sent", "kyc_checked", "payout_settled", "webhook_received", "job_finished"),
)
_EVENT_WEIGHTS: Final = (50, 28, 10, 7, 5)
_SCREENS: Final = ("portfolio", "market", "wallet", "profile", "sale", "news")
_PATHS: Final = ("dashboard", "portfolio", "market", "wallet", "settings", "sale")
_SERVER_AGENT: Final = "lakeward-sample-server/1.0"

EXPERIMENT: Final = "onboarding_checklist"
"""The web product's experiment: a session shows it first, and some sessions end with its goal."""
VARIANTS: Final = {"control": 1, "checklist": 1}
"""Variant -> weight, as in the dbt seed ``experiments``."""
GOAL: Final = "checklist_completed"
GOAL_RATES: Final = {"control": 0.20, "checklist": 0.26}
"""Of the users with a variant, the share that does the goal: the effect to be found."""

MEAN_EVENTS: Final = 5.0
"""Events in one session."""
_MEAN_GAP_MS: Final = 25_000.0


def make_app_events(
    world: World, members: Members, rng: np.random.Generator, started_ms: Ints
) -> Batch:
    """Make the events of the sessions that begin at ``started_ms``, some minutes each."""
    lengths = rng.geometric(1 / MEAN_EVENTS, len(started_ms))
    session = np.repeat(np.arange(len(started_ms)), lengths)
    count = len(session)
    member = members.draw(rng, len(started_ms))
    site = members.sites[member]
    channel = pick(rng, _CHANNEL_WEIGHTS, len(started_ms))
    session_ids = objects([f"a-{h}" for h in hex_ids(rng, len(started_ms))])
    devices = objects([f"d-{h}" for h in hex_ids(rng, len(started_ms), size=6)])
    agents = _agents(world, rng, channel)

    gap = 1000 + rng.exponential(_MEAN_GAP_MS, count).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    gap[first] = 0
    elapsed = np.cumsum(gap)
    occurred = started_ms[session] + elapsed - elapsed[first][session]
    sent = occurred + rng.integers(5, 200, size=count)
    received = sent + rng.integers(10, 500, size=count)

    by_event = channel[session]
    kind = pick(rng, _EVENT_WEIGHTS, count)
    page = rng.integers(len(_PATHS), size=count)
    domains = objects([[f"https://app.{s.domain}/{p}" for p in _PATHS] for s in world.sites])
    urls = np.array(domains.tolist(), dtype=object)[site[session], page]
    event_types = np.array(_EVENT_TYPES, dtype=object)[by_event, kind]
    properties = _properties(world, rng, by_event, site[session])
    users = members.ids[member]
    for one in np.flatnonzero(channel == _WEB).tolist():
        begin, end = int(first[one]), int(first[one] + lengths[one])
        variant = assign(EXPERIMENT, users[one], VARIANTS)
        event_types[begin] = "experiment_exposure"
        properties[begin] |= {"experiment_id": EXPERIMENT, "variant": variant}
        if end - begin > 1 and _does_the_goal(users[one], variant):
            event_types[end - 1] = GOAL
    columns: dict[str, Any] = {
        "tenant_id": world.tenant_ids[site][session],
        "event_id": uuids(rng, count),
        "user_id": users[session],
        "device_id": only_where(by_event != _SERVER, devices[session]),
        "session_id": only_where(by_event != _SERVER, session_ids[session]),
        "occurred_at": iso_times(occurred),
        "sent_at": iso_times(sent),
        "received_at": iso_times(received),
        "channel": objects(CHANNELS)[by_event],
        "event_type": event_types,
        "page_url": only_where(by_event == _WEB, urls),
        "screen_name": only_where(by_event == _MOBILE, objects(_SCREENS)[page]),
        "conversation_id": only_where(
            by_event == _CHAT, objects([f"c-{s[2:]}" for s in session_ids])[session]
        ),
        "user_agent": agents[session],
        "properties": properties,
    }
    return Batch(
        "app_events",
        occurred,
        received + rng.integers(1, 100, size=count),
        {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in columns.items()},
    )


def _does_the_goal(user_id: str, variant: str) -> bool:
    """Tell it of the user, not of the session, so that coming back often changes no rate."""
    return draw(f"{EXPERIMENT}.goal", user_id) < GOAL_RATES[variant] * 2**52


def _agents(world: World, rng: np.random.Generator, channel: Ints) -> Objects:
    drawn = rng.integers(2**31, size=len(channel))
    pools = [world.user_agents[device] for device in DEVICES]
    desktop, mobile, tablet = (pool[drawn % len(pool)] for pool in pools)
    on_phone = np.where(drawn % 4 == 0, tablet, mobile)
    agent = np.where(channel == _MOBILE, on_phone, desktop)
    return np.where(channel == _SERVER, _SERVER_AGENT, agent)


def _properties(
    world: World, rng: np.random.Generator, channel: Ints, site: Ints
) -> list[dict[str, Any]]:
    """Free-form members, unlike from one channel to the next, as real senders have them."""
    symbols = world.symbols[site].tolist()
    numbers = rng.integers(1, 2000, size=len(channel)).tolist()
    made: list[dict[str, Any]] = []
    for where, symbol, number in zip(channel.tolist(), symbols, numbers, strict=True):
        if where == _WEB:
            made.append({"symbol": symbol, "viewport": {"width": 800 + number, "height": 900}})
        elif where == _MOBILE:
            made.append({"symbol": symbol, "app_version": f"4.{number % 12}.0", "online": True})
        elif where == _CHAT:
            made.append({"bot": number % 3 != 0, "characters": number, "topics": [symbol]})
        else:
            made.append({"took_ms": number, "retries": number % 3})
    return made
