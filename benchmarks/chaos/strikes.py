"""How each fault is made, mended, and what is looked for meanwhile.

Each strike is a script: it breaks something, waits for what must come of it, mends it, and notes
what it saw. A zombie is one only if another writer has committed its partitions while it slept, so
that is waited for, not a time.
"""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.chaos.case import Case
from benchmarks.chaos.world import BROKER, CONTRACT, DISK, STORE, Script, World
from benchmarks.chaos.writers import Writer, how
from tests.kafka_servers.apache import ApacheKafka
from tests.object_stores.seaweed import SeaweedFs

FIELD = """\
      - name: more_{number}
        logicalType: string
        description: One more.
"""
BROKEN_FILES = 0.3
"""The share of changed contracts whose file is broken first."""
BROKEN_S = 3.0
CLOCK_SHIFTS_S = (300, -300, 7200, -7200, 172_800, -172_800)
LONG_OUTAGE_S = (12.0, 20.0)
"""Longer than the first, quick tries of one commit take together."""
LONG_OUTAGES = 0.1
"""Their share."""
BACK_S = 90.0
TAKEN_OVER_S = 90.0
TOLD_S = 20.0
HUNG_S = 60.0
"""A writer tells its progress once a second; one that is silent for so long hangs."""
IN_FLIGHT_S = 1.0
"""A request that had left a writer before it was frozen has landed after so long."""
REPLICAS_S = 180.0
TRIES = 3

Strike = Callable[[World, random.Random, Case], Script]


def kill_writer(world: World, draw: random.Random, case: Case) -> Script:
    """SIGKILL; the supervisor starts another."""
    writer = draw.choice(world.free)
    number = writer.starts
    writer.signal(signal.SIGKILL)
    case.mend()
    is_back = yield from world.until(lambda: _is_replaced(writer, number), BACK_S)
    case.see("restarted" if is_back else "NOT BACK")


def stop_writer(world: World, draw: random.Random, case: Case) -> Script:
    """SIGTERM; the writer finishes, and the supervisor starts another."""
    writer = draw.choice(world.at_work)
    number = writer.starts
    writer.is_taken = True
    writer.signal(signal.SIGTERM)
    case.mend()
    ended = yield from world.until(lambda: number in writer.ends, BACK_S)
    if not ended:
        case.see("HUNG, killed")
        writer.signal(signal.SIGABRT)
    elif writer.ends[number] == 0:
        case.see("finished in good order, restarted")
    elif writer.ends[number] == -signal.SIGTERM:
        case.see("ended while still starting, restarted")
    else:
        case.see(f"ended by {how(writer.ends[number])}, restarted")
    writer.is_taken = False


def freeze_writer(world: World, draw: random.Random, case: Case) -> Script:
    """SIGSTOP until others have committed its partitions, then SIGCONT: a zombie."""
    writer = draw.choice([w for w in world.free if w.holds_partitions])
    writer.is_taken = True
    writer.signal(signal.SIGSTOP)
    yield from world.sleep(IN_FLIGHT_S)
    before = world.watch.now()
    is_zombie = yield from world.until(lambda: world.watch.has_moved_on(before), TAKEN_OVER_S)
    yield from world.sleep(draw.uniform(0, world.session_seconds))
    woken = time.monotonic()
    writer.signal(signal.SIGCONT)
    case.mend()
    told = yield from world.until(lambda: writer.said(woken, "fenced", "partitions_lost"), TOLD_S)
    # the one may be followed by the other
    yield from world.sleep(IN_FLIGHT_S)
    case.see(_of_zombie(writer, woken, told=told, is_zombie=is_zombie))
    writer.is_taken = False


def _of_zombie(writer: Writer, woken: float, *, told: bool, is_zombie: bool) -> str:
    if not is_zombie:
        return "woke up before anyone had taken over"
    if writer.said(woken, "fenced"):
        return "committed late: fenced"
    if told:
        return "saw that its partitions were lost, dropped what it had"
    return "went on as a new member" if writer.said(woken) else "ended while it woke up"


def shift_clock(world: World, draw: random.Random, case: Case) -> Script:
    """Another time of day for a while, and back."""
    writer = draw.choice([w for w in world.at_work if w.clock is not None])
    clock = writer.clock
    assert clock is not None
    writer.is_taken = True
    ahead = draw.choice(CLOCK_SHIFTS_S)
    first, then = ("ahead", "back") if ahead > 0 else ("back", "ahead")
    for shift, step in ((ahead, first), (0, f"{then} to the right time")):
        number, jumped = writer.starts, time.monotonic()
        clock.shift(shift)
        yield from world.sleep(draw.uniform(2, 5))
        is_alive = yield from world.until(partial(_goes_on, writer, number, jumped + 1.5), HUNG_S)
        if not is_alive:
            case.see(f"HUNG after the step {step}, killed")
            writer.signal(signal.SIGABRT)
            break
        if number in writer.ends:
            case.see(f"ended by {how(writer.ends[number])} after the step {step}, restarted")
            break
    else:
        case.see("went on")
    clock.shift(0)
    case.mend()
    writer.is_taken = False


def start_rival(world: World, draw: random.Random, case: Case) -> Script:
    """A second writer of the same name takes all partitions at once, sleeps, and wakes up."""
    rival = world.rival
    began = time.monotonic()
    rival.start()
    yield from world.until(lambda: rival.said(began, "flushed") or not rival.is_running, BACK_S)
    has_written = bool(rival.said(began, "flushed"))
    yield from world.sleep(draw.uniform(0.5, 3))
    fenced = any(writer.said(began, "fenced") for writer in world.writers)
    rival.signal(signal.SIGSTOP)
    yield from world.sleep(IN_FLIGHT_S)
    before = world.watch.now()
    is_zombie = yield from world.until(lambda: world.watch.has_moved_on(before), TAKEN_OVER_S)
    woken = time.monotonic()
    rival.signal(signal.SIGCONT)
    yield from world.until(lambda: rival.said(woken, "fenced"), TOLD_S)
    yield from world.sleep(draw.uniform(0, 2))
    was_fenced = bool(rival.said(woken, "fenced"))
    rival.kill()
    case.mend()
    if not has_written:
        case.see("committed nothing")
        return
    case.see("others fenced by it" if fenced else "others not in its way")
    if is_zombie:
        case.see("woke up: fenced" if was_fenced else "woke up with nothing to commit")


def down_broker(*, kill: bool) -> Strike:
    """A broker that goes, and comes back on its data."""

    def strike(world: World, draw: random.Random, case: Case) -> Script:
        broker = draw.choice(world.brokers)
        seconds = draw.uniform(0.3, 3)

        def job() -> None:
            if kill:
                broker.kill()
            else:
                broker.stop()
            time.sleep(seconds)
            _start(broker)
            world.cluster.wait_until_in_sync(world.topic, REPLICAS_S)

        yield from world.work(BROKER, job)
        case.mend()
        case.see("away and back")

    return strike


def kill_store(world: World, draw: random.Random, case: Case) -> Script:
    """The object store goes, and comes back on its data."""
    store = world.store
    assert store is not None
    seconds = _outage(draw, (0.2, 4))

    def job() -> None:
        store.kill()
        time.sleep(seconds)
        _start(store)

    yield from world.work(STORE, job)
    case.mend()
    case.see("away and back")
    case.see(_whether_noticed(world, case))


def freeze_store(world: World, draw: random.Random, case: Case) -> Script:
    """The object store takes requests and answers none."""
    store = world.store
    assert store is not None
    seconds = draw.uniform(1, 5)

    def job() -> None:
        store.freeze()
        time.sleep(seconds)
        store.thaw()

    yield from world.work(STORE, job)
    case.mend()
    case.see("silent and back")
    case.see(_whether_noticed(world, case))


def fill_disk(world: World, draw: random.Random, case: Case) -> Script:
    """Not one byte is free."""
    disk = world.disk
    assert disk is not None
    seconds = _outage(draw, (1, 5))

    def job() -> None:
        disk.fill()
        time.sleep(seconds)
        disk.free()

    yield from world.work(DISK, job)
    case.mend()
    case.see("full and free again")
    case.see(_whether_noticed(world, case))


def change_contract(world: World, draw: random.Random, case: Case) -> Script:
    """A newer version of the contract, which the running writers take up."""
    text = world.contract.read_text()
    number = text.count("logicalType: string")
    newer = re.sub(r"(?m)^version: .*$", f"version: 1.{number}.0", text)
    newer += FIELD.format(number=number)

    def job() -> None:
        if draw.random() < BROKEN_FILES:
            _replace(world.contract, text[: len(text) // 2])
            time.sleep(BROKEN_S)
        _replace(world.contract, newer)

    yield from world.work(CONTRACT, job)
    case.mend()
    since = time.monotonic()
    told = yield from world.until(
        lambda: any(writer.said(since, "rules_changed") for writer in world.writers), TOLD_S
    )
    case.see("taken up by a running writer" if told else "no writer ran to take it up")


def _replace(path: Path, text: str) -> None:
    """Write a file as an editor does: whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _start(server: ApacheKafka | SeaweedFs) -> None:
    """Start a server; on a machine that is short of time a try may run into its time limit."""
    for _ in range(TRIES - 1):
        with suppress(RuntimeError):
            server.start()
            return
    server.start()


def _goes_on(writer: Writer, number: int, since: float) -> bool:
    """Whether a process tells of its progress, or has ended rather than hang."""
    return bool(writer.said(since, "progress", "flushed")) or number in writer.ends


def _whether_noticed(world: World, case: Case) -> str:
    failed = ("commit_outcome_unknown", "table_not_readable", "cannot_begin")
    noticed = any(writer.said(case.began, *failed) for writer in world.writers)
    return "commits failed and were tried again" if noticed else "no commit failed by it"


def _outage(draw: random.Random, usual: tuple[float, float]) -> float:
    return draw.uniform(*(LONG_OUTAGE_S if draw.random() < LONG_OUTAGES else usual))


def _is_replaced(writer: Writer, number: int) -> bool:
    """Whether a later process has said something, or was killed before it could."""
    return writer.starts > number + 1 or (
        writer.starts > number and bool(writer.lines.of(writer.starts))
    )
