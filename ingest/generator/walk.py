"""How visitors walk through a site: which step follows which, and when.

A visit is a row of steps. Each optional step gets a place between two fixed ones, and sorting
all steps of all visits at once by (visit, place) gives every visit its order. So a sign-up
always follows the view of the register page, a wallet is connected after the sign-up, and a
first purchase comes after the wallet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.generator.draws import Flags, Floats, Ints, pick
from ingest.generator.world import PAGES

PAGE_VIEW, CLICK, SCROLL, FORM, REGISTER, WHITELIST, WALLET, PRESALE, PURCHASE = range(9)
"""Kinds of steps; those below ``REGISTER`` are clickstream events."""

_PAGE: Final = {name: index for index, name in enumerate(PAGES)}
_NO_PAGE: Final = -1

VISIT_SHARES: Final = (0.480, 0.360, 0.070, 0.090)
"""Of new visitors: only visit, sign up, also connect a wallet, also buy.

Higher than on real sites: it makes 85 : 10 : 5 clickstream events, registrations, conversions.
"""

BUYS_AGAIN: Final = len(VISIT_SHARES)
"""How far somebody goes who has an account and a wallet, and comes back to buy."""

_WHITELIST_SHARE: Final = 0.12
"""Of those who sign up and go no further."""
_PRESALE_SHARE: Final = 0.3
"""Of those who buy: the rest buy tokens in the open sale."""
_FORM_SHARE: Final = 0.7
"""Of those who sign up: how many are seen filling in the form."""

_EXTRA_PAGES: Final = (0.55, 1.1, 1.6, 2.0, 1.1)
"""Mean pages beyond those that the visit's end needs, by how far it goes."""
_EXTRA_ACTIONS: Final = (0.75, 0.9, 1.2, 1.5, 0.9)
"""Mean clicks, scrolls and form entries, by how far the visit goes."""
MOST_PAGES: Final = 15

_OPEN_PAGES: Final = ("whitepaper", "team", "roadmap", "tokenomics", "faq", "blog", "presale")
_OPEN_WEIGHTS: Final = (25, 15, 15, 18, 9, 8, 10)
_LANDING_PAGES: Final = ("homepage", "presale", "whitepaper", "blog")
_LANDING_WEIGHTS: Final = (72, 12, 8, 8)

_AT_REGISTER, _AT_FORM, _AT_SIGNUP, _AT_WHITELIST = 10.0, 10.5, 11.0, 12.0
_AT_PRESALE_PAGE, _AT_WALLET, _AT_PURCHASE, _AT_END = 13.0, 14.0, 15.0, 20.0

_MEDIAN_SECONDS: Final = (150.0, 330.0, 480.0, 620.0, 330.0)
"""Median length of a visit, by how far it goes."""
_SHORTEST_MS: Final = 30_000
_LONGEST_MS: Final = 90 * 60_000
_SHORTEST_GAP_MS: Final = 1_000
_LONGEST_GAP_MS: Final = 28 * 60_000
"""Below the 30 minutes of silence that end a session."""


@dataclass(frozen=True, slots=True)
class Walks:
    """The steps of many visits, all arrays alike long, ordered by visit and time."""

    visit: Ints
    """Index of the visit, from 0."""
    kind: Ints
    page: Ints
    """Index into ``PAGES`` of the page the visitor is on."""
    referring: Ints
    """Index of the step that showed the page before, -1 on the landing page."""
    offset_ms: Ints
    """Milliseconds since the visit began."""
    signed_up: Flags
    """True from the sign-up on."""


def walk(rng: np.random.Generator, reach: Ints) -> Walks:
    """Walk visits; ``reach`` says how far each goes: an index into ``VISIT_SHARES``, or further."""
    visit, kind, page, place = _steps(rng, reach)
    order = np.lexsort((place, visit))
    visit, kind, page = visit[order], kind[order], page[order]

    steps = np.arange(len(visit))
    is_first = np.concatenate([[True], visit[1:] != visit[:-1]])
    first = np.flatnonzero(is_first)
    view = np.maximum.accumulate(np.where(kind == PAGE_VIEW, steps, 0))
    previous = np.concatenate([[-1], view[:-1]])
    previous[is_first] = -1
    signups = np.cumsum(kind == REGISTER)
    before = np.concatenate([[0], signups])[first]
    return Walks(
        visit=visit,
        kind=kind,
        page=page[view],
        referring=previous[view],
        offset_ms=_offsets(rng, reach, visit, first),
        signed_up=signups > before[visit],
    )


def _steps(rng: np.random.Generator, reach: Ints) -> tuple[Ints, Ints, Ints, Floats]:
    """Return visit, kind, page and place of all steps, unordered."""
    visits = np.arange(len(reach))
    is_new = reach < BUYS_AGAIN
    signs_up, connects = is_new & (reach >= 1), is_new & (reach >= 2)
    decides, buys = reach >= 2, reach >= 3
    needed = 1 + signs_up + decides
    mean_pages = np.array(_EXTRA_PAGES)[reach]
    pages = np.minimum(rng.geometric(1 / (1 + mean_pages)) - 1, MOST_PAGES - needed)
    actions = rng.poisson(np.array(_EXTRA_ACTIONS)[reach])
    actions = np.maximum(actions, (needed + pages) == 1)

    parts: list[tuple[Ints, Ints, Ints, Floats]] = []

    def add(who: Ints, kind: int | Ints, page: int | Ints, place: float | Floats) -> None:
        size = len(who)
        parts.append(
            (
                who,
                np.broadcast_to(np.asarray(kind, dtype=np.int64), size),
                np.broadcast_to(np.asarray(page, dtype=np.int64), size),
                np.broadcast_to(np.asarray(place, dtype=np.float64), size),
            )
        )

    landing = np.array([_PAGE[name] for name in _LANDING_PAGES])
    add(visits, PAGE_VIEW, landing[pick(rng, _LANDING_WEIGHTS, len(visits))], 0.0)

    who = np.repeat(visits, pages)
    place = rng.uniform(0.5, _AT_END - 1, len(who))
    place += place > _AT_REGISTER  # nobody looks around between the register page and signing up
    open_pages = np.array([_PAGE[name] for name in _OPEN_PAGES])
    add(who, PAGE_VIEW, open_pages[pick(rng, _OPEN_WEIGHTS, len(who))], place)

    who = np.repeat(visits, actions)
    kinds = np.array([SCROLL, CLICK, FORM])[pick(rng, (50, 42, 8), len(who))]
    add(who, kinds, _NO_PAGE, rng.uniform(0.1, _AT_END, len(who)))

    who = visits[signs_up]
    add(who, PAGE_VIEW, _PAGE["register"], _AT_REGISTER)
    add(who[rng.random(len(who)) < _FORM_SHARE], FORM, _NO_PAGE, _AT_FORM)
    add(who, REGISTER, _NO_PAGE, _AT_SIGNUP)
    who = visits[reach == 1]
    add(who[rng.random(len(who)) < _WHITELIST_SHARE], WHITELIST, _NO_PAGE, _AT_WHITELIST)
    add(visits[decides], PAGE_VIEW, _PAGE["presale"], _AT_PRESALE_PAGE)
    add(visits[connects], WALLET, _NO_PAGE, _AT_WALLET)
    who = visits[buys]
    kinds = np.where(rng.random(len(who)) < _PRESALE_SHARE, PRESALE, PURCHASE)
    add(who, kinds, _NO_PAGE, _AT_PURCHASE)

    visit, kind, page, place = (np.concatenate(column) for column in zip(*parts, strict=True))
    return visit, kind, page, place


def _offsets(rng: np.random.Generator, reach: Ints, visit: Ints, first: Ints) -> Ints:
    """Spread each visit's steps over its length; times within a visit always rise."""
    median_ms = 1000 * np.array(_MEDIAN_SECONDS)[reach]
    length = np.clip(median_ms * rng.lognormal(0, 1, len(reach)), _SHORTEST_MS, _LONGEST_MS)
    gap = rng.gamma(1.3, 1, len(visit))
    gap[first] = 0
    total = np.add.reduceat(gap, first)
    gap = np.clip(gap * (length / total)[visit], _SHORTEST_GAP_MS, _LONGEST_GAP_MS)
    gap[first] = 0
    elapsed = np.cumsum(np.ceil(gap).astype(np.int64))
    return np.asarray(elapsed - elapsed[first][visit], dtype=np.int64)
