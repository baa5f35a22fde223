"""What is there to be broken: brokers, an object store or a small disk, writers."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.writers import Writer
from tests.kafka_servers.apache import ApacheKafka
from tests.kafka_servers.cluster import ApacheCluster
from tests.object_stores.seaweed import SeaweedFs

DISK_MB = 512


class NoDiskError(Exception):
    """A small disk cannot be made here; the message says why."""


@dataclass(slots=True)
class SmallDisk:
    """A tmpfs for the lake that can be filled to the last byte."""

    folder: Path

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NoDiskError(done.stderr.strip())
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            while filler.write(bytes(2**20)) == 2**20:
                pass
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@dataclass(slots=True)
class World:
    """Everything that faults may touch, and who is being mended right now."""

    cluster: ApacheCluster
    topic: str
    writers: list[Writer]
    rival: Writer
    store: SeaweedFs | None
    disk: SmallDisk | None
    session_seconds: float
    _menders: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    _mending: dict[str, Future[None]] = field(default_factory=dict)
    _heals: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    @property
    def brokers(self) -> list[ApacheKafka]:
        """The brokers of the cluster."""
        return self.cluster.brokers

    def later(self, seconds: float, heal: Callable[[], None]) -> None:
        """Heal something quick after a while, in the thread that tends the writers."""
        self._heals.append((time.monotonic() + seconds, heal))

    def mend(self, what: str, work: Callable[[], None]) -> None:
        """Mend something slow (start a server) in a thread that lives as long as the server."""
        pool = self._menders.setdefault(what, ThreadPoolExecutor(1, thread_name_prefix=what))
        self._mending[what] = pool.submit(work)

    def is_busy(self, what: str) -> bool:
        """Whether ``what`` is still being mended."""
        future = self._mending.get(what)
        if future is None:
            return False
        if future.done():
            future.result()  # a server that does not come back ends the run
            return False
        return True

    def tend(self, draw: random.Random) -> None:
        """Do what is due: heal, and replace writers that ended."""
        now = time.monotonic()
        for due in [heal for heal in self._heals if heal[0] <= now]:
            self._heals.remove(due)
            due[1]()
        for writer in self.writers:
            writer.tend(draw.uniform(0, 0.5))

    def heal(self) -> None:
        """Return when nothing is broken any more."""
        for _, heal in self._heals:
            heal()
        self._heals.clear()
        for what in list(self._mending):
            self._mending[what].result()

    def close(self) -> None:
        """End what still runs."""
        for writer in (*self.writers, self.rival):
            writer.thaw()
            writer.kill()
        with suppress(Exception):
            self.heal()
        for pool in self._menders.values():
            pool.shutdown()
