"""The kinds of faults: what each breaks, for how long, and how it is mended."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.chaos.world import World
from benchmarks.chaos.writers import Writer

CLOCK_SHIFTS = ("+300", "-300", "+7200", "-7200", "+172800", "-172800")
LONG_OUTAGE_S = (12.0, 20.0)
"""Longer than all tries of one commit take together."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    what: str
    """For the table: what was done."""
    weight: int
    strike: Callable[[World, random.Random], None]
    is_possible: Callable[[World], bool] = lambda _: True
    """Whether this world has what the fault breaks."""
    is_ready: Callable[[World], bool] = lambda _: True
    """Whether it may be broken now, or is still broken from the last time."""


def _standing(world: World) -> list[Writer]:
    return [w for w in world.writers if w.is_running and not w.is_frozen]


def _any_standing(world: World) -> bool:
    return bool(_standing(world))


def _kill_writer(world: World, draw: random.Random) -> None:
    draw.choice(_standing(world)).signal(signal.SIGKILL)


def _stop_writer(world: World, draw: random.Random) -> None:
    draw.choice(_standing(world)).signal(signal.SIGTERM)


def _freeze_writer(world: World, draw: random.Random) -> None:
    writer = draw.choice(_standing(world))
    writer.freeze()
    world.later(draw.uniform(1.4, 2.5) * world.session_seconds, writer.thaw)


def _shift_clock(world: World, draw: random.Random) -> None:
    writer = draw.choice([w for w in world.writers if w.has_clock])
    writer.shift_clock(draw.choice(CLOCK_SHIFTS))

    def back() -> None:
        # librdkafka waits by the wall clock: after a step back it may sit there until the old time
        # has come again, so the process that saw two clocks is ended by its supervisor
        writer.shift_clock("+0")
        writer.signal(signal.SIGKILL)

    world.later(draw.uniform(2, 5), back)


def _start_rival(world: World, draw: random.Random) -> None:
    """A second writer of the same name takes all partitions at once, sleeps, and wakes up."""
    rival = world.rival
    rival.start()
    working, sleeping, awake = (draw.uniform(4, 7), draw.uniform(1, 4), draw.uniform(1, 3))
    world.later(working, rival.freeze)
    world.later(working + sleeping, rival.thaw)
    world.later(working + sleeping + awake, rival.kill)


def _down_broker(kill: bool) -> Callable[[World, random.Random], None]:
    def strike(world: World, draw: random.Random) -> None:
        broker = draw.choice(world.brokers)
        seconds = draw.uniform(0.3, 3)

        def work() -> None:
            if kill:
                broker.kill()
            else:
                broker.stop()
            time.sleep(seconds)
            broker.start()
            world.cluster.wait_until_in_sync(world.topic)

        world.mend("broker", work)

    return strike


def _kill_store(world: World, draw: random.Random) -> None:
    seconds = draw.uniform(*LONG_OUTAGE_S) if draw.random() < 0.1 else draw.uniform(0.2, 4)

    def work() -> None:
        assert world.store is not None
        world.store.kill()
        time.sleep(seconds)
        world.store.start()

    world.mend("store", work)


def _freeze_store(world: World, draw: random.Random) -> None:
    seconds = draw.uniform(1, 5)

    def work() -> None:
        assert world.store is not None
        world.store.freeze()
        time.sleep(seconds)
        world.store.thaw()

    world.mend("store", work)


def _fill_disk(world: World, draw: random.Random) -> None:
    disk = world.disk
    assert disk is not None
    seconds = draw.uniform(*LONG_OUTAGE_S) if draw.random() < 0.1 else draw.uniform(1, 5)

    def work() -> None:
        disk.fill()
        time.sleep(seconds)
        disk.free()

    world.mend("disk", work)


KINDS = (
    Kind("writer killed", "kill -9", 34, _kill_writer, is_ready=_any_standing),
    Kind("writer stopped", "SIGTERM", 12, _stop_writer, is_ready=_any_standing),
    Kind(
        "writer frozen",
        "SIGSTOP past its session, then SIGCONT",
        14,
        _freeze_writer,
        is_ready=_any_standing,
    ),
    Kind(
        "writer's clock jumped",
        "5 minutes to 2 days, forth or back; killed 2 to 5 s later",
        7,
        _shift_clock,
        is_possible=lambda world: any(w.has_clock for w in world.writers),
    ),
    Kind(
        "second writer of the same name",
        "takes every partition, sleeps, wakes up, is killed",
        6,
        _start_rival,
        is_ready=lambda world: not world.rival.is_running,
    ),
    Kind(
        "broker killed",
        "kill -9, back after 0.3 to 3 s",
        5,
        _down_broker(kill=True),
        is_ready=lambda world: not world.is_busy("broker"),
    ),
    Kind(
        "broker stopped",
        "SIGTERM, back after 0.3 to 3 s",
        4,
        _down_broker(kill=False),
        is_ready=lambda world: not world.is_busy("broker"),
    ),
    Kind(
        "object store killed",
        "kill -9, back after 0.2 to 20 s",
        10,
        _kill_store,
        is_possible=lambda world: world.store is not None,
        is_ready=lambda world: not world.is_busy("store"),
    ),
    Kind(
        "object store frozen",
        "SIGSTOP for 1 to 5 s",
        5,
        _freeze_store,
        is_possible=lambda world: world.store is not None,
        is_ready=lambda world: not world.is_busy("store"),
    ),
    Kind(
        "disk full",
        "not one byte free for 1 to 20 s",
        15,
        _fill_disk,
        is_possible=lambda world: world.disk is not None,
        is_ready=lambda world: not world.is_busy("disk"),
    ),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of the schedule."""

    kind: Kind
    pause: float
    """Seconds since the one before."""
    seed: int
    """Decides what is not decided yet: which writer, for how long."""


def schedule(world: World, count: int, draw: random.Random, pause: float) -> list[Planned]:
    """Return ``count`` faults: each possible kind at least once, the rest by weight."""
    possible = [kind for kind in KINDS if kind.is_possible(world)]
    chosen = possible[:count]
    chosen += draw.choices(possible, [k.weight for k in possible], k=count - len(chosen))
    draw.shuffle(chosen)
    return [Planned(k, draw.uniform(0.3, 1.7) * pause, draw.getrandbits(32)) for k in chosen]
