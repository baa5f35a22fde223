"""Visits to the project sites: clickstream, registrations and conversions that fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ingest.generator.batch import Batch
from ingest.generator.draws import (
    Flags,
    Ints,
    Objects,
    hex_ids,
    iso_times,
    objects,
    only_where,
    pick,
    uuids,
)  # fmt: skip
from ingest.generator.members import Members
from ingest.generator.walk import (
    BUYS_AGAIN,
    PAGE_VIEW,
    PRESALE,
    PURCHASE,
    REGISTER,
    SCROLL,
    VISIT_SHARES,
    Walks,
    walk,
)  # fmt: skip
from ingest.generator.world import (
    BROWSER_WEIGHTS,
    BROWSERS,
    CAMPAIGN_WEIGHTS,
    CAMPAIGNS,
    COUNTRIES,
    COUNTRY_WEIGHTS,
    DEVICE_WEIGHTS,
    DEVICES,
    PAGES,
    World,
)  # fmt: skip

MEMBER_SHARE: Final = 0.15
"""Visits by people who have an account; most look around and buy nothing."""
_BUY_AGAIN_SHARE: Final = 0.08
"""Of these visits. So there are purchases to which several visits led, by different channels."""

MEAN_EVENTS: Final = 4.54
"""Events of all three contracts in a visit, measured; decides how many visits to begin."""

_SOURCES: Final = ("", "google", "x", "telegram", "google", "facebook", "tiktok", "newsletter")
_MEDIA: Final = ("", "", "", "", "cpc", "cpc", "cpc", "email")
_REFERRERS: Final = (
    None, "https://www.google.com/", "https://x.com/", "https://t.me/",
    "https://www.google.com/", "https://www.facebook.com/", "https://www.tiktok.com/", None,
)  # fmt: skip
_SOURCE_WEIGHTS: Final = (30, 24, 9, 7, 10, 8, 5, 7)
_FIRST_TAGGED: Final = 4
"""Sources from here on carry UTM tags."""

_EXPERIMENTS: Final = ("hero_copy_2024", "presale_cta")
_EXPERIMENT_SHARE: Final = 0.3

_EVENT_TYPES: Final = ("page_view", "click", "scroll", "form_interaction")
"""In the order of the kinds of steps."""
_CONVERSION_TYPES: Final = (
    "whitelist_join", "wallet_connect", "presale_participate", "token_purchase",
)  # fmt: skip
"""In the order of the kinds of steps after ``REGISTER``."""
_PAYMENT_METHODS: Final = ("ETH", "USDT", "USDC", "BTC")
_PAYMENT_WEIGHTS: Final = (45, 25, 20, 10)
_NETWORKS: Final = ("telegram", "x", "discord")
_TIERS: Final = ("basic", "advanced", "premium")
_TIER_WEIGHTS: Final = (70, 22, 8)
_SMALLEST_USD, _MEDIAN_USD, _LARGEST_USD = 100.0, 900.0, 10_000.0


@dataclass(frozen=True, slots=True)
class _Visits:
    """What stays the same for a whole visit."""

    started_ms: Ints
    session_id: Objects
    site: Ints
    is_member: Flags
    user_id: Objects
    """The member, or whoever signs up in this visit."""
    country: Objects
    device: Ints
    browser: Objects
    ip: Objects
    source: Ints
    tags: dict[str, Objects]


def make_sessions(
    world: World,
    members: Members,
    rng: np.random.Generator,
    started_ms: Ints,
    session_ids: list[str],
) -> list[Batch]:
    """Make all events of the visits that begin at ``started_ms``, up to 90 minutes each."""
    visits = _visits(world, members, rng, started_ms, session_ids)
    returns = np.where(rng.random(len(started_ms)) < _BUY_AGAIN_SHARE, BUYS_AGAIN, 0)
    reach = np.where(visits.is_member, returns, pick(rng, VISIT_SHARES, len(started_ms)))
    walks = walk(rng, reach)
    return [
        _clickstream(world, visits, walks, rng),
        _registrations(world, visits, walks, rng, members),
        _conversions(world, visits, walks, rng),
    ]


def _visits(
    world: World,
    members: Members,
    rng: np.random.Generator,
    started_ms: Ints,
    session_ids: list[str],
) -> _Visits:
    count = len(started_ms)
    is_member = rng.random(count) < MEMBER_SHARE
    member = members.draw(rng, count)
    device = pick(rng, DEVICE_WEIGHTS, count)
    by_device = [pick(rng, weights, count) for weights in BROWSER_WEIGHTS]
    source = pick(rng, _SOURCE_WEIGHTS, count)
    return _Visits(
        started_ms=started_ms,
        session_id=objects(session_ids),
        site=np.where(is_member, members.sites[member], pick(rng, world.site_weights, count)),
        is_member=is_member,
        user_id=np.where(
            is_member, members.ids[member], objects([f"u-{h}" for h in hex_ids(rng, count)])
        ),
        country=objects(COUNTRIES)[pick(rng, COUNTRY_WEIGHTS, count)],
        device=device,
        browser=objects(BROWSERS)[np.choose(device, by_device)],
        ip=world.addresses[rng.integers(len(world.addresses), size=count)],
        source=source,
        tags=_tags(rng, source),
    )


def _tags(rng: np.random.Generator, source: Ints) -> dict[str, Objects]:
    count = len(source)
    tagged = source >= _FIRST_TAGGED
    campaign = objects(CAMPAIGNS)[pick(rng, CAMPAIGN_WEIGHTS, count)]
    tries = rng.random(count) < _EXPERIMENT_SHARE
    experiment = objects(_EXPERIMENTS)[rng.integers(len(_EXPERIMENTS), size=count)]
    variant = objects(["control", "treatment"])[rng.integers(2, size=count)]
    return {
        "experiment": only_where(tries, experiment),
        "variant": only_where(tries, variant),
        "utm_source": only_where(tagged, objects(_SOURCES)[source]),
        "utm_medium": only_where(tagged, objects(_MEDIA)[source]),
        "utm_campaign": only_where(tagged, campaign),
    }


def _batch(
    contract: str,
    visits: _Visits,
    walks: Walks,
    rows: Ints,
    rng: np.random.Generator,
    columns: Callable[[Ints, list[str]], dict[str, Any]],
) -> Batch:
    visit = walks.visit[rows]
    occurred = visits.started_ms[visit] + walks.offset_ms[rows]
    made = columns(visit, iso_times(occurred))
    return Batch(
        contract,
        occurred,
        occurred + rng.integers(20, 900, size=len(rows)),  # less than between two steps
        {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in made.items()},
    )


def _clickstream(world: World, visits: _Visits, walks: Walks, rng: np.random.Generator) -> Batch:
    rows = np.flatnonzero(walks.kind < REGISTER)
    kind, page, referring = walks.kind[rows], walks.page[rows], walks.referring[rows]
    load_seconds = np.round(rng.gamma(2.2, 0.45, len(rows)) + 0.1, 3)
    depth = np.round(rng.beta(2, 1.6, len(rows)) * 100, 1)

    def columns(visit: Ints, times: list[str]) -> dict[str, Any]:
        site = visits.site[visit]
        referrer = np.where(
            referring < 0,
            objects(_REFERRERS)[visits.source[visit]],
            world.page_urls[site, walks.page[referring]],
        )
        knows_user = visits.is_member[visit] | walks.signed_up[rows]
        return {
            "tenant_id": world.tenant_ids[site],
            "event_id": uuids(rng, len(rows)),
            "session_id": visits.session_id[visit],
            "user_id": only_where(knows_user, visits.user_id[visit]),
            "occurred_at": times,
            "event_type": objects(_EVENT_TYPES)[kind],
            "page_type": objects(PAGES)[page],
            "page_url": world.page_urls[site, page],
            "referrer": referrer,
            "country": visits.country[visit],
            "device_type": objects(DEVICES)[visits.device[visit]],
            "browser": visits.browser[visit],
            "page_load_time": only_where(kind == PAGE_VIEW, load_seconds),
            "scroll_depth": only_where(kind == SCROLL, depth),
            "site_id": world.site_ids[site],
            "ip": visits.ip[visit],
            **{name: values[visit] for name, values in visits.tags.items()},
        }

    return _batch("clickstream", visits, walks, rows, rng, columns)


def _registrations(
    world: World, visits: _Visits, walks: Walks, rng: np.random.Generator, members: Members
) -> Batch:
    rows = np.flatnonzero(walks.kind == REGISTER)
    count = len(rows)
    person = rng.integers(len(world.handles), size=count)
    numbers = rng.integers(10, 10_000, size=count).tolist()
    emails = [
        address.replace("@", f"{number}@")
        for address, number in zip(world.emails[person].tolist(), numbers, strict=True)
    ]
    wallets = objects([f"0x{h}" for h in hex_ids(rng, count, size=20)])
    networks = rng.integers(4, size=count).tolist()
    handles = [
        dict.fromkeys(_NETWORKS[:many], handle)
        for handle, many in zip(world.handles[person].tolist(), networks, strict=True)
    ]

    def columns(visit: Ints, times: list[str]) -> dict[str, Any]:
        site = visits.site[visit]
        return {
            "tenant_id": world.tenant_ids[site],
            "registration_id": uuids(rng, count),
            "user_id": visits.user_id[visit],
            "session_id": visits.session_id[visit],
            "occurred_at": times,
            "email": emails,
            "wallet_address": only_where(rng.random(count) < 0.6, wallets),
            "social_handles": handles,
            "consent_marketing": rng.random(count) < 0.55,
            "kyc_completed": rng.random(count) < 0.4,
            "verification_tier": objects(_TIERS)[pick(rng, _TIER_WEIGHTS, count)],
            "country": visits.country[visit],
            "site_id": world.site_ids[site],
            "ip": visits.ip[visit],
        }

    batch = _batch("registrations", visits, walks, rows, rng, columns)
    visit = walks.visit[rows]
    members.sign_up(visits.user_id[visit], visits.site[visit], batch.occurred_ms)
    return batch


def _conversions(world: World, visits: _Visits, walks: Walks, rng: np.random.Generator) -> Batch:
    rows = np.flatnonzero(walks.kind > REGISTER)
    kind = walks.kind[rows]
    count = len(rows)
    pays = (kind == PRESALE) | (kind == PURCHASE)
    spread = _MEDIAN_USD * rng.lognormal(0, 0.9, count)
    amount = np.round(np.clip(spread, _SMALLEST_USD, _LARGEST_USD), 2)

    def columns(visit: Ints, times: list[str]) -> dict[str, Any]:
        site = visits.site[visit]
        tokens = np.round(amount / world.token_prices[site], 6)
        return {
            "tenant_id": world.tenant_ids[site],
            "conversion_id": uuids(rng, count),
            "user_id": visits.user_id[visit],
            "session_id": visits.session_id[visit],
            "occurred_at": times,
            "conversion_type": objects(_CONVERSION_TYPES)[kind - REGISTER - 1],
            "amount_usd": only_where(pays, amount),
            "token_amount": only_where(pays, tokens),
            "token_symbol": only_where(pays, world.symbols[site]),
            "payment_method": only_where(
                pays, objects(_PAYMENT_METHODS)[pick(rng, _PAYMENT_WEIGHTS, count)]
            ),
            "time_to_convert": np.round(walks.offset_ms[rows] / 1000, 3),
            "site_id": world.site_ids[site],
        }

    return _batch("conversions", visits, walks, rows, rng, columns)
