"""The kinds of faults, how often each is drawn, and when it may be made."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from benchmarks.chaos import strikes
from benchmarks.chaos.strikes import Strike
from benchmarks.chaos.world import BROKER, CONTRACT, DISK, STORE, World

ZOMBIE = "writer frozen"
RIVAL = "second writer of the same name"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    what: str
    """For the table: what was done."""
    weight: int
    strike: Strike
    is_possible: Callable[[World], bool] = lambda _: True
    """Whether this world has what the fault breaks."""
    is_ready: Callable[[World], bool] = lambda _: True
    """Whether it may be broken now, or is still broken from the last time."""


def _one_is_free(world: World) -> bool:
    return bool(world.free)


def _one_is_at_work(world: World) -> bool:
    return bool(world.at_work)


def _another_takes_over(world: World) -> bool:
    """Whether one that has partitions may be frozen, and another is left to take them."""
    return len(world.free) > 1 and any(writer.holds_partitions for writer in world.free)


def _rival_can_begin(world: World) -> bool:
    # a writer that finds no store when it starts ends at once
    return not world.rival.is_running and world.is_whole(STORE) and _one_is_at_work(world)


def _clock_is_free(world: World) -> bool:
    return any(writer.clock is not None for writer in world.at_work)


KINDS = (
    Kind("writer killed", "kill -9", 30, strikes.kill_writer, is_ready=_one_is_free),
    Kind("writer stopped", "SIGTERM", 10, strikes.stop_writer, is_ready=_one_is_at_work),
    Kind(
        ZOMBIE,
        "SIGSTOP until others have committed its partitions, then SIGCONT",
        18,
        strikes.freeze_writer,
        is_ready=_another_takes_over,
    ),
    Kind(
        "writer's clock jumped",
        "5 minutes to 2 days, ahead or behind, for 2 to 5 s, and back",
        6,
        strikes.shift_clock,
        is_possible=lambda world: any(w.clock is not None for w in world.writers),
        is_ready=_clock_is_free,
    ),
    Kind(
        RIVAL,
        "takes every partition, sleeps until others have committed them, wakes up",
        5,
        strikes.start_rival,
        is_ready=_rival_can_begin,
    ),
    Kind(
        "contract changed",
        "a newer version with one more field, now and then a broken file before it",
        5,
        strikes.change_contract,
        is_ready=lambda world: world.is_whole(CONTRACT),
    ),
    Kind(
        "broker killed",
        "kill -9, started again after 0.3 to 3 s",
        5,
        strikes.down_broker(kill=True),
        is_ready=lambda world: world.is_whole(BROKER),
    ),
    Kind(
        "broker stopped",
        "SIGTERM, started again after 0.3 to 3 s",
        4,
        strikes.down_broker(kill=False),
        is_ready=lambda world: world.is_whole(BROKER),
    ),
    Kind(
        "object store killed",
        "kill -9, started again after 0.2 to 4 s, now and then 12 to 20 s",
        10,
        strikes.kill_store,
        is_possible=lambda world: world.store is not None,
        is_ready=lambda world: world.is_whole(STORE),
    ),
    Kind(
        "object store frozen",
        "SIGSTOP for 1 to 5 s",
        5,
        strikes.freeze_store,
        is_possible=lambda world: world.store is not None,
        is_ready=lambda world: world.is_whole(STORE),
    ),
    Kind(
        "disk full",
        "not one byte free for 1 to 5 s, now and then 12 to 20 s",
        15,
        strikes.fill_disk,
        is_possible=lambda world: world.disk is not None,
        is_ready=lambda world: world.is_whole(DISK),
    ),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of the schedule."""

    kind: Kind
    pause: float
    """Seconds until the next one."""
    seed: int
    """Decides what is not decided yet: which writer, for how long."""


def schedule(
    world: World, count: int, draw: random.Random, pause: float, only: Collection[str] = ()
) -> list[Planned]:
    """Return ``count`` faults: each possible kind at least once, the rest by weight.

    ``only`` names the kinds to draw from; when empty, all.
    """
    possible = [
        kind for kind in KINDS if kind.is_possible(world) and (not only or kind.name in only)
    ]
    chosen = possible[:count]
    chosen += draw.choices(possible, [k.weight for k in possible], k=count - len(chosen))
    draw.shuffle(chosen)
    return [Planned(k, draw.uniform(0.3, 1.7) * pause, draw.getrandbits(32)) for k in chosen]
