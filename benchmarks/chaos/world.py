"""What is there to be broken, and the scripts of the faults that are at work on it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.small_disk import SmallDisk
from benchmarks.chaos.watch import Positions, Watch
from benchmarks.chaos.writers import Writer
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.cluster import ApacheCluster
from tests.object_stores.seaweed import SeaweedFs

Script = Generator[None, None, None]
"""What a fault does, in steps: each ``yield`` waits for the next look."""

READ_S = 0.1
BROKER = "broker"
STORE = "store"
DISK = "disk"
CONTRACT = "contract"


@dataclass(slots=True)
class World:
    """Everything that faults may touch."""

    cluster: ApacheCluster
    topic: str
    contract: Path
    """The file with the contract of the topic."""
    writers: list[Writer]
    rival: Writer
    store: SeaweedFs | None
    disk: SmallDisk | None
    watch: Watch
    session_seconds: float
    _scripts: list[Script] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)
    _mended: dict[str, Positions] = field(default_factory=dict)
    _pools: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    _read_at: float = 0.0

    @property
    def brokers(self) -> list[ApacheKafka]:
        """The brokers of the cluster."""
        return self.cluster.brokers

    @property
    def everyone(self) -> list[Writer]:
        """The writers of the group, and the rival."""
        return [*self.writers, self.rival]

    @property
    def free(self) -> list[Writer]:
        """The writers of the group that run and that no fault is at work on."""
        return [w for w in self.writers if w.is_running and not w.is_taken]

    @property
    def is_quiet(self) -> bool:
        """Whether no fault is at work."""
        return not self._scripts

    @property
    def at_work(self) -> list[Writer]:
        """Those of them that have got as far as their first log line."""
        return [writer for writer in self.free if writer.lines.of(writer.starts)]

    def is_whole(self, what: str) -> bool:
        """Whether ``what`` is not broken, and every partition moved on since it last was.

        Where nothing works there is nothing to break: without the second half one outage would
        follow the other while the writers, which cannot start meanwhile, are out of the game.
        """
        return what not in self._busy and self.watch.has_moved_on(self._mended.get(what, {}))

    def begin(self, script: Script) -> None:
        """Do the first step of a script now, and the others while the writers are tended."""
        if _goes_on(script):
            self._scripts.append(script)

    def work(self, what: str, job: Callable[[], None]) -> Script:
        """Do something slow (start a server) in a thread that lives as long as the server."""
        pool = self.cluster.mender
        if what != BROKER:
            pool = self._pools.setdefault(what, ThreadPoolExecutor(1, thread_name_prefix=what))
        self._busy.add(what)
        future: Future[None] = pool.submit(job)
        while not future.done():
            yield
        self._busy.discard(what)
        self._mended[what] = self.watch.now()
        future.result()  # a server that does not come back ends the campaign

    def sleep(self, seconds: float) -> Script:
        """Let time pass."""
        yield from self.until(lambda: False, seconds)

    def until(self, is_so: Callable[[], object], seconds: float) -> Generator[None, None, bool]:
        """Wait until something is so, and return whether it came to be within the time."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() >= deadline:
                return False
            yield
        return True

    def tend(self, draw: random.Random) -> None:
        """Replace writers that ended, read what they logged, do the next step of each script."""
        for writer in self.writers:
            writer.tend(draw.uniform(0, 0.5))
        if time.monotonic() - self._read_at >= READ_S:
            for writer in self.everyone:
                writer.read()
            self._read_at = time.monotonic()
            self._scripts = [script for script in self._scripts if _goes_on(script)]

    def close(self) -> None:
        """End what still runs."""
        for writer in self.everyone:
            writer.kill()
        for pool in self._pools.values():
            with suppress(Exception):
                pool.shutdown()


def _goes_on(script: Script) -> bool:
    try:
        next(script)
    except StopIteration:
        return False
    return True
