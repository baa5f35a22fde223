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
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.chaos.case import Case
from benchmarks.chaos.faults import Planned, schedule
from benchmarks.chaos.ledger import Ledger, Producers
from benchmarks.chaos.small_disk import NoDiskError, SmallDisk
from benchmarks.chaos.topic import read_back
from benchmarks.chaos.verdict import Verdict, judge
from benchmarks.chaos.wall_clock import NoClockError, WallClock, build
from benchmarks.chaos.watch import Watch
from benchmarks.chaos.world import World
from benchmarks.chaos.writers import Writer, write_command
from lake.tables import Lake
from tests.kafka_servers.cluster import ApacheCluster
from tests.lake.writer.rig import CONTRACT_FILE
from tests.object_stores.seaweed import SeaweedFs

Kept = Literal["s3", "disk"]
TABLE = "visits"
PARTITIONS = 6
SESSION_S = 6.0
TICK_S = 0.02
READY_S = 120.0
DRAIN_S = 900.0
SETTLED_S = 60.0
TURN_S = 3.0
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
    only: tuple[str, ...] = ()
    """Kinds of faults to draw from; empty: all that are possible."""
    minutes: float = float("inf")
    """Make no more faults after so long, and judge."""
    writers: int = 3
    producers: int = 2


@dataclass(frozen=True, slots=True)
class Result:
    """What a campaign found."""

    options: Options
    verdict: Verdict
    audit: dict[str, Any]
    """What ``lakeward audit --json`` said."""
    cases: tuple[Case, ...]
    """Every fault, with what was seen of it."""
    moved_on: tuple[float | None, ...]
    """For each case, after how many seconds every partition had moved on once it was mended."""
    events: Counter[str]
    """The writers' log lines by name."""
    noise: Counter[str]
    """Their lines that are no log lines."""
    exits: Counter[str]
    """How the writers' processes ended, faults and own decisions alike."""
    last_ends: Counter[str]
    """How the writers ended when they were asked to, with nothing broken any more."""
    starts: int
    commits: int
    seconds: float
    doubtful: int
    replaced: int
    """Producers that were replaced because they refused to go on."""
    skipped: tuple[str, ...]
    """Faults that cannot be made on this machine, and why."""

    @property
    def is_exactly_once(self) -> bool:
        """Whether audit, Kafka and ledger agree that nothing is lost or twice."""
        agrees = self.audit["rows"] == self.verdict.rows and self.audit["dead"] == self.verdict.dead
        return self.verdict.is_exactly_once and bool(self.audit["is_clean"]) and agrees

    @property
    def fences(self) -> int:
        """How many commits were refused because another writer had moved a partition."""
        return self.events["fenced"]


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
        self._producers = Producers(
            cluster.bootstrap_servers, self._topic, self._ledger, options.kept, options.producers
        )
        self._over_at = time.monotonic() + options.minutes * 60

    def run(self) -> Result:
        """Break things, mend them, and judge."""
        began = time.monotonic()
        options = self._options
        draw = random.Random(f"{options.seed}-{options.kept}")
        with ExitStack() as stack:
            world, lake, environment = self._world(stack)
            self._producers.start()
            with _ended(self._producers):
                for writer in world.writers:
                    writer.start()
                self._wait_until_all_commit(world, draw)
                world.watch.start()
                plan = schedule(world, options.faults, draw, options.pause, options.only)
                cases = self._break(world, plan)
                self._say("all faults made; waiting until all is mended")
                self._settle(world, draw)
            self._say("asking the writers to end")
            last_ends = self._end_writers(world)
            world.watch.stop()
            self._say("draining")
            self._lakeward(environment, "write", "--until-current", "--contracts", TABLE)
            audit = json.loads(self._lakeward(environment, "audit", "--json"))
            kafka = read_back(self._cluster.bootstrap_servers, self._topic, PARTITIONS)
            for writer in world.everyone:
                writer.read()
            lines = [writer.lines for writer in world.everyone]
            return Result(
                options=options,
                verdict=judge(lake, TABLE, kafka, self._ledger),
                audit=audit,
                cases=tuple(cases),
                moved_on=tuple(
                    None if case.mended is None else world.watch.seconds_until_moved_on(case.mended)
                    for case in cases
                ),
                events=Counter(line.event for log in lines for line in log.lines),
                noise=sum((log.noise for log in lines), Counter()),
                exits=sum((w.exits for w in world.writers), Counter()),
                last_ends=last_ends,
                starts=sum(w.starts for w in world.everyone),
                commits=lake.open("bronze", TABLE).version(),
                seconds=time.monotonic() - began,
                doubtful=self._ledger.doubtful,
                replaced=self._ledger.restarts,
                skipped=tuple(self._skipped),
            )

    def _world(self, stack: ExitStack) -> tuple[World, Lake, dict[str, str]]:
        folder = self._folder
        contracts = folder / "contracts"
        contracts.mkdir(parents=True)
        contract = contracts / "visits.odcs.yaml"
        contract.write_text(CONTRACT_FILE.format(topic=self._topic))
        environment = {
            "LAKEWARD_HOME": str(folder / "home"),
            "LAKEWARD_CONTRACTS_DIR": str(contracts),
            "LAKEWARD_WRITER_NAME": f"w-{self._topic}",
            "LAKEWARD_FLUSH_SECONDS": "0.3",
            "LAKEWARD_FLUSH_BYTES": str(64 * 1024),  # so little that an outage fills it
            "LAKEWARD_RULES_SECONDS": "1",
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
            stack.enter_context(_in_environment(store.environment))
            lake = Lake(store.root)
        else:
            lake = Lake(str(folder / "disk" / "lake"))
            environment["LAKEWARD_LAKE_ROOT"] = lake.root
            try:
                disk = stack.enter_context(SmallDisk(folder / "disk"))
            except NoDiskError as why:
                self._skipped.append(f"disk full: no tmpfs can be mounted ({why})")
        logs = folder / "logs"
        logs.mkdir()
        try:
            clock = WallClock(build(logs), logs / "clock")
        except NoClockError as why:
            clock = None
            self._skipped.append(f"clock jumps: {why}")
        writers = [
            Writer(f"writer-{n}", write_command(), environment, logs)
            for n in range(self._options.writers)
        ]
        writers[-1].clock = clock  # the others keep to the right time
        world = World(
            cluster=self._cluster,
            topic=self._topic,
            contract=contract,
            writers=writers,
            rival=Writer(
                "rival", write_command(), environment | {"LAKEWARD_ASSIGNMENT": "static"}, logs
            ),
            store=store,
            disk=disk,
            watch=Watch(lake, TABLE, PARTITIONS),
            session_seconds=SESSION_S,
        )
        stack.callback(world.close)
        topic = NewTopic(self._topic, PARTITIONS, self._cluster.replication)
        admin = AdminClient({"bootstrap.servers": self._cluster.bootstrap_servers, "log_level": 0})
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
            waiting = [w for w in waiting if not w.said(0, "flushed")]
            time.sleep(TICK_S)

    def _break(self, world: World, plan: list[Planned]) -> list[Case]:
        """Make every fault, each as soon as it can be, and return without waiting for the last."""
        cases: list[Case] = []
        left, late = deque(plan), deque[Planned]()
        draw = random.Random(self._options.seed)
        came = time.monotonic()
        while left or late:
            if time.monotonic() > self._over_at:
                self._say(f"out of time: {len(left) + len(late)} faults are left out")
                break
            ready = next((p for p in (*late, *islice(left, 1)) if p.kind.is_ready(world)), None)
            if ready is None:
                # the next one may wait for what it breaks to be whole again, but not for long
                if left and time.monotonic() - came > TURN_S:
                    late.append(left.popleft())
                    came = time.monotonic()
                self._tend_for(0, world, draw)
                continue
            (late if ready in late else left).remove(ready)
            case = Case(ready.kind.name, ready.kind.what)
            cases.append(case)
            world.begin(ready.kind.strike(world, random.Random(ready.seed), case))
            self._tend_for(ready.pause, world, draw)
            came = time.monotonic()
            if len(cases) % 10 == 0 or not (left or late):
                self._say(
                    f"{len(cases)} of {len(plan)} faults, "
                    f"{len(self._ledger.events):,} events acknowledged"
                )
        return cases

    def _settle(self, world: World, draw: random.Random) -> None:
        """Return when every fault is mended and every partition has moved on since."""
        while not world.is_quiet:
            self._tend_for(0, world, draw)
        before, deadline = world.watch.now(), time.monotonic() + SETTLED_S
        while not world.watch.has_moved_on(before) and time.monotonic() < deadline:
            self._tend_for(0, world, draw)

    def _tend_for(self, seconds: float, world: World, draw: random.Random) -> None:
        until = time.monotonic() + seconds
        while True:
            self._producers.check()  # a campaign without messages would prove nothing
            world.tend(draw)
            time.sleep(TICK_S)
            if time.monotonic() >= until:
                return

    def _end_writers(self, world: World) -> Counter[str]:
        """Ask the writers to finish, now that nothing is broken; return how they did."""
        for writer in world.writers:
            writer.is_wanted = False
        ends = Counter(writer.stop(END_S) for writer in world.writers)
        for writer in world.writers:
            writer.tend(0)
        return ends

    def _lakeward(self, environment: dict[str, str], *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lakeward", *arguments],
            env={**os.environ, **environment, "LAKEWARD_ASSIGNMENT": "auto"},
            capture_output=True,
            text=True,
            timeout=DRAIN_S,
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


@contextmanager
def _in_environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
