"""Everything that made-up events are drawn from, made once a run.

Faker makes names and browser versions, but it is slow: pools of a few thousand are drawn here,
and the events index into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from faker import Faker

from ingest.generator.draws import Floats, Ints, Objects, hex_ids, objects
from ingest.generator.sites import Site

DEVICES: Final = ("desktop", "mobile", "tablet")
DEVICE_WEIGHTS: Final = (0.60, 0.30, 0.10)

COUNTRIES: Final = ("US", "DE", "JP", "KR", "SG", "GB", "FR", "CA", "BR", "IN", "NL", "VN", "NG")
COUNTRY_WEIGHTS: Final = (30, 15, 12, 10, 8, 5, 4, 4, 3, 3, 2, 2, 2)

BROWSERS: Final = ("Chrome", "Safari", "Firefox", "Edge", "Samsung Internet")
BROWSER_WEIGHTS: Final = ((62, 12, 10, 16, 0), (52, 36, 2, 1, 9), (38, 52, 2, 3, 5))
"""By device, in the order of ``DEVICES``."""

PAGES: Final = (
    "homepage", "whitepaper", "presale", "register", "team", "roadmap", "tokenomics", "faq",
    "blog",
)  # fmt: skip
PAGE_PATHS: Final = ("", *PAGES[1:])

CAMPAIGNS: Final = ("brand_awareness", "spring_sale", "retargeting", "launch_week", "referral")
CAMPAIGN_WEIGHTS: Final = (35, 20, 25, 12, 8)

_NAMES: Final = 1500
_ADDRESSES: Final = 20_000
_OLD_MEMBERS: Final = 100
"""Members a site had before the first event."""

_MAIL_HOSTS: Final = ("example.com", "example.org", "example.net")
_BENCHMARK_NET: Final = 198 << 24 | 18 << 16
"""198.18.0.0/15: addresses that belong to nobody (RFC 2544)."""


@dataclass(frozen=True, slots=True)
class World:
    """Sites, and pools of the things that visitors have."""

    sites: tuple[Site, ...]
    site_weights: Floats
    site_ids: Objects
    tenant_ids: Objects
    symbols: Objects
    token_prices: Floats
    """US dollars a token, by site."""
    page_urls: Objects
    """By site and page: shape (sites, pages)."""
    emails: Objects
    handles: Objects
    addresses: Objects
    user_agents: dict[str, Objects]
    """By device."""
    old_members: Objects
    """User ids of people who had signed up before the first event."""
    old_member_sites: Ints


def make_world(sites: Sequence[Site], rng: np.random.Generator) -> World:
    """Make the pools for these sites; the same draws give the same world."""
    faker = Faker("en_US")
    faker.seed_instance(int(rng.integers(2**32)))
    handles = [f"{faker.user_name()}{n % 97}" for n in range(_NAMES)]
    hosts = [_MAIL_HOSTS[n % len(_MAIL_HOSTS)] for n in range(_NAMES)]
    count = len(sites)
    page_urls = [[f"https://{site.domain}/{path}" for path in PAGE_PATHS] for site in sites]
    return World(
        sites=tuple(sites),
        site_weights=np.array([1 / (1 + rank) ** 0.5 for rank in range(count)])[
            rng.permutation(count)
        ],
        site_ids=objects([site.site_id for site in sites]),
        tenant_ids=objects([site.tenant_id for site in sites]),
        symbols=objects([site.token_symbol for site in sites]),
        token_prices=np.round(rng.uniform(0.02, 2.5, count), 4),
        page_urls=objects([url for urls in page_urls for url in urls]).reshape(count, len(PAGES)),
        emails=objects([f"{h}@{host}" for h, host in zip(handles, hosts, strict=True)]),
        handles=objects(handles),
        addresses=objects([_ip(n) for n in rng.integers(1, 2**17 - 1, _ADDRESSES).tolist()]),
        user_agents=_user_agents(faker),
        old_members=objects([f"u-{h}" for h in hex_ids(rng, count * _OLD_MEMBERS)]),
        old_member_sites=np.repeat(np.arange(count), _OLD_MEMBERS),
    )


def _ip(host: int) -> str:
    address = _BENCHMARK_NET + host
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _user_agents(faker: Faker) -> dict[str, Objects]:
    def chrome(platform: str, suffix: str = "") -> str:
        version = f"{faker.random_int(118, 131)}.0.{faker.random_int(5900, 6800)}.0"
        return (
            f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/{version}{suffix} Safari/537.36"
        )

    def safari(platform: str, suffix: str = "") -> str:
        version = f"{faker.random_int(15, 18)}.{faker.random_int(0, 6)}"
        return (
            f"Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            f"Version/{version}{suffix} Safari/604.1"
        )

    desktop = [chrome("Windows NT 10.0; Win64; x64") for _ in range(60)]
    desktop += [chrome("X11; Linux x86_64") for _ in range(20)]
    desktop += [safari("Macintosh; Intel Mac OS X 10_15_7") for _ in range(20)]
    phones = [chrome(f"Linux; {faker.android_platform_token()}", " Mobile") for _ in range(60)]
    phones += [safari("iPhone; CPU iPhone OS 17_5 like Mac OS X", " Mobile") for _ in range(40)]
    tablets = [safari("iPad; CPU OS 17_5 like Mac OS X", " Mobile") for _ in range(40)]
    return {
        "desktop": objects(desktop),
        "mobile": objects(phones),
        "tablet": objects(tablets),
    }
