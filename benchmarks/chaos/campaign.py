"""One campaign: producers and writers at work on one lake, faults by a seeded schedule, a verdict.

Everything the writers stand on is broken while they work. Several faults may hold at once; of
brokers, and of what the lake is kept in, only one is broken at a time. In the end all is mended,
what is left is drained by ``lakeward write --until-current``, and both ``lakeward audit`` and the
ledger have to agree.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.chaos.faults import Planned, schedule
from benchmarks.chaos.ledger import Ledger, Producers
from benchmarks.chaos.verdict import Verdict, judge
from benchmarks.chaos.watch import Watch
from benchmarks.chaos.world import NoDiskError, SmallDisk, World
from benchmarks.chaos.writers import Writer, faketime, write_command
from lake.tables import Lake
from tests.kafka_servers.cluster import ApacheCluster
from tests.lake.writer.rig import CONTRACT_FILE
from tests.object_stores.seaweed import SeaweedFs

Kept = Literal["s3", "disk"]
TABLE = "visits"
PARTITIONS = 6
SESSION_S = 4.0
TICK_S = 0.02
READY_S = 120.0
DRAIN_S = 300.0
END_S = 90.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a campaign is to do."""

    kept: Kept
    """Where the lake is."""
    faults: int
    seed: int
    pause: float
    """Seconds between two faults, on average."""
    writers: int = 3
    producers: int = 2


@dataclass(slots=True)
class Tally:
    """What came of the faults of one kind."""

    what: str
    faults: int = 0
    events: Counter[str] = field(default_factory=Counter)
    """The writers' log lines by name, between such a fault and the one after it."""
    windows: list[tuple[float, float]] = field(default_factory=list)
    longest_gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a campaign found."""

    options: Options
    verdict: Verdict
    audit: dict[str, Any]
    """What ``lakeward audit --json`` said."""
    kinds: dict[str, Tally]
    exits: Counter[str]
    """How the writers' processes ended, faults and own decisions alike."""
    starts: int
    commits: int
    seconds: float
    doubtful: int
    skipped: tuple[str, ...]
    """Faults that cannot be made on this machine, and why."""

    @property
    def is_exactly_once(self) -> bool:
        """Whether the audit and the ledger agree that nothing is lost or twice."""
        agrees = self.audit["rows"] == self.verdict.rows and self.audit["dead"] == self.verdict.dead
        return self.verdict.is_exactly_once and bool(self.audit["is_clean"]) and agrees


class Campaign:
    """Runs once."""

    def __init__(
        self,
        options: Options,
        cluster: ApacheCluster,
        folder: Path,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            options: what to do.
            cluster: brokers that run.
            folder: for the lake, its store, and the writers' logs.
            say: takes a line of progress now and then.
        """
        self._options = options
        self._cluster = cluster
        self._folder = folder
        self._say = say
        self._topic = f"visits-{options.kept}-{options.seed}"
        self._skipped: list[str] = []
        self._ledger = Ledger()

    def run(self) -> Result:
        """Break things, mend them, and judge."""
        began = time.monotonic()
        options = self._options
        draw = random.Random(f"{options.seed}-{options.kept}")
        with ExitStack() as stack:
            world, lake, environment = self._world(stack)
            producers = Producers(
                self._cluster.bootstrap_servers,
                self._topic,
                self._ledger,
                options.kept,
                options.producers,
            )
            producers.start()
            watch = Watch(lake, TABLE)
            with _ended(producers):
                for writer in world.writers:
                    writer.start()
                self._wait_until_all_commit(world, draw)
                watch.start()
                tallies = self._break(world, schedule(world, options.faults, draw, options.pause))
                self._say("all faults done; mending")
                world.heal()
            watch.stop()
            self._end_writers(world)
            world.rival.kill()
            self._say("draining")
            self._lakeward(environment, DRAIN_S, "write", "--until-current", "--contracts", TABLE)
            audit = json.loads(self._lakeward(environment, DRAIN_S, "audit", "--json"))
            for tally in tallies.values():
                tally.longest_gap = max(watch.longest_gap(*window) for window in tally.windows)
            return Result(
                options=options,
                verdict=judge(lake, TABLE, self._ledger),
                audit=audit,
                kinds=tallies,
                exits=sum((w.exits for w in world.writers), Counter()),
                starts=sum(w.starts for w in (*world.writers, world.rival)),
                commits=lake.open("bronze", TABLE).version(),
                seconds=time.monotonic() - began,
                doubtful=self._ledger.doubtful,
                skipped=tuple(self._skipped),
            )

    def _world(self, stack: ExitStack) -> tuple[World, Lake, dict[str, str]]:
        folder = self._folder
        contracts = folder / "contracts"
        contracts.mkdir(parents=True)
        (contracts / "visits.odcs.yaml").write_text(CONTRACT_FILE.format(topic=self._topic))
        environment = {
            "LAKEWARD_HOME": str(folder / "home"),
            "LAKEWARD_CONTRACTS_DIR": str(contracts),
            "LAKEWARD_WRITER_NAME": f"w-{self._topic}",
            "LAKEWARD_FLUSH_SECONDS": "0.3",
            "LAKEWARD_FLUSH_BYTES": str(64 * 1024),  # so little that an outage fills it
            "LAKEWARD_SESSION_SECONDS": str(SESSION_S),
            "LAKEWARD_ASSIGNMENT": "group",
            "KAFKA_BOOTSTRAP_SERVERS": self._cluster.bootstrap_servers,
        }
        store, disk = None, None
        if self._options.kept == "s3":
            store = SeaweedFs(folder / "store")
            stack.callback(store.kill)
            store.start()
            environment |= {**store.environment, "LAKEWARD_LAKE_ROOT": store.root}
            # the lake is read in this process too
            os.environ.update(store.environment)
            lake = Lake(store.root)
        else:
            lake = Lake(str(folder / "disk" / "lake"))
            environment["LAKEWARD_LAKE_ROOT"] = lake.root
            try:
                disk = stack.enter_context(SmallDisk(folder / "disk"))
            except NoDiskError as why:
                self._skipped.append(f"disk full: no tmpfs can be mounted ({why})")
        if faketime() is None:
            self._skipped.append("clock jumps: Debian's package libfaketime is not installed")

        def writer(name: str, *, has_clock: bool = False, **more: str) -> Writer:
            logs = folder / "logs"
            logs.mkdir(exist_ok=True)
            return Writer(name, write_command(), environment | more, logs, has_clock)

        names = [f"writer-{n}" for n in range(self._options.writers)]
        world = World(
            cluster=self._cluster,
            topic=self._topic,
            # one clock that may jump is enough, and libfaketime is not free of faults of its own
            writers=[writer(n, has_clock=n == names[-1] and faketime() is not None) for n in names],
            rival=writer("rival", LAKEWARD_ASSIGNMENT="static"),
            store=store,
            disk=disk,
            session_seconds=SESSION_S,
        )
        stack.callback(world.close)
        topic = NewTopic(self._topic, PARTITIONS, self._cluster.replication)
        admin = AdminClient({"bootstrap.servers": self._cluster.bootstrap_servers})
        admin.create_topics([topic])[self._topic].result(30)
        self._cluster.wait_until_in_sync(self._topic)
        return world, lake, environment

    def _wait_until_all_commit(self, world: World, draw: random.Random) -> None:
        """Return when each writer has committed something: before that nothing is broken."""
        deadline = time.monotonic() + READY_S
        waiting = list(world.writers)
        while waiting:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{waiting[0].name} committed nothing; see {waiting[0].log}")
            world.tend(draw)
            waiting = [w for w in waiting if "flushed" not in w.events()]
            time.sleep(TICK_S)

    def _break(self, world: World, plan: list[Planned]) -> dict[str, Tally]:
        tallies: dict[str, Tally] = {}
        for number, planned in enumerate(plan, start=1):
            kind = planned.kind
            draw = random.Random(planned.seed)
            due = time.monotonic() + planned.pause
            while not kind.is_ready(world):
                world.tend(draw)
                time.sleep(TICK_S)
            tally = tallies.setdefault(kind.name, Tally(kind.what))
            struck = time.monotonic()
            kind.strike(world, draw)
            while time.monotonic() < due:
                world.tend(draw)
                time.sleep(TICK_S)
            tally.faults += 1
            tally.windows.append((struck, time.monotonic()))
            for writer in (*world.writers, world.rival):
                tally.events.update(writer.events())
            if number % 10 == 0 or number == len(plan):
                self._say(f"{number} of {len(plan)} faults, {len(self._ledger.events):,} events")
        return tallies

    def _end_writers(self, world: World) -> None:
        """Ask the writers to finish; each must, in good order, now that nothing is broken."""
        for writer in world.writers:
            if not writer.is_running:
                writer.tend(0)
            writer.is_wanted = False
        for writer in world.writers:
            writer.stop(END_S)

    def _lakeward(self, environment: dict[str, str], timeout: float, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lakeward", *arguments],
            env={**os.environ, **environment, "LAKEWARD_ASSIGNMENT": "auto"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        # an audit with findings ends with 1, and what it says is wanted
        if done.returncode != 0 and not done.stdout.startswith("{"):
            raise RuntimeError(f"lakeward {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def _ended(producers: Producers) -> Iterator[None]:
    try:
        yield
    finally:
        producers.stop()
