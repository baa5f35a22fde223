"""Is this writer alive, and does it do its work? What ``/healthz`` and ``/readyz`` answer.

*Alive* means that a restart would not help: the poll loop turns, and the committing thread has
not ended. *Ready* means that messages get into the tables: Kafka and the lake answer, and the
writer has its partitions or stands by for others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

HUNG_SECONDS: Final = 120.0
"""The longest turn of the poll loop that is no sign of being stuck. A turn may wait for a rebalance
(half of LAKEWARD_SESSION_SECONDS) and for an object store that does not answer (45 s a request)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, whether it holds, and why."""

    name: str
    is_well: bool
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Several conditions, all of which must hold."""

    checks: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """True when every condition holds."""
        return all(check.is_well for check in self.checks)

    def as_document(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        return {
            "status": "ok" if self.is_well else "failing",
            "checks": [
                {"name": check.name, "ok": check.is_well, "why": check.why} for check in self.checks
            ],
        }


class Health:
    """What the writer's threads tell about themselves; asked by the HTTP server's."""

    def __init__(self, clock: Callable[[], float], hung_seconds: float = HUNG_SECONDS) -> None:
        self._clock = clock
        self._hung_seconds = hung_seconds
        self._lock = threading.Lock()
        self._turned_at = clock()
        self._has_turned = False
        self._is_ending = False
        self._partitions: int | None = None
        self._waiting = 0
        self._lake_trouble: str | None = None
        self._kafka_trouble: str | None = None
        self._rules_trouble: str | None = None
        self._failure: str | None = None

    def turned(self) -> None:
        """The poll loop went round."""
        with self._lock:
            self._turned_at = self._clock()
            self._has_turned = True

    def ending(self) -> None:
        """The writer was asked to stop and commits what it holds."""
        with self._lock:
            self._is_ending = True

    def member(self, partitions: int | None, waiting: int = 0) -> None:
        """The group gave it so many partitions, of which some wait for the lake; None: left it."""
        with self._lock:
            self._partitions = partitions
            self._waiting = waiting

    def lake(self, trouble: str | None) -> None:
        """The lake answered, or why it did not."""
        with self._lock:
            self._lake_trouble = trouble

    def kafka(self, trouble: str | None) -> None:
        """Kafka answered, or why it did not."""
        with self._lock:
            self._kafka_trouble = trouble

    def rules(self, trouble: str | None) -> None:
        """The rules are those of the contracts and tenants, or why they are older ones."""
        with self._lock:
            self._rules_trouble = trouble

    def failed(self, why: str) -> None:
        """The committing thread has ended."""
        with self._lock:
            self._failure = why

    @property
    def is_lake_available(self) -> bool:
        """True when the lake answered at the last try."""
        return self._lake_trouble is None

    def alive(self) -> Verdict:
        """Return whether a restart would be in vain."""
        with self._lock:
            return Verdict((self._loop(), self._committer()))

    def ready(self) -> Verdict:
        """Return whether messages get into the tables."""
        with self._lock:
            return Verdict(
                (
                    self._loop(),
                    self._committer(),
                    self._membership(),
                    _answering("kafka", self._kafka_trouble),
                    _answering("lake", self._lake_trouble),
                    self._rules(),
                )
            )

    def _loop(self) -> Check:
        quiet = self._clock() - self._turned_at
        if self._is_ending:
            # its end may take as long as its last commit, and is waited for by whoever asked
            return Check("poll_loop", True, "commits what it holds, then ends")
        if quiet > self._hung_seconds:
            return Check(
                "poll_loop",
                False,
                f"has not turned for {quiet:.0f} s (limit {self._hung_seconds:.0f} s)",
            )
        if not self._has_turned:
            return Check("poll_loop", True, "is starting")
        return Check("poll_loop", True, f"turned {quiet:.1f} s ago")

    def _committer(self) -> Check:
        if self._failure is not None:
            return Check("committer", False, self._failure)
        return Check("committer", True, "runs")

    def _rules(self) -> Check:
        """Never a failure: by older rules too each message gets into the tables."""
        if self._rules_trouble is None:
            return Check("rules", True, "as the contracts and tenants say")
        return Check("rules", True, f"goes on by those it has: {self._rules_trouble}")

    def _membership(self) -> Check:
        if self._is_ending:
            return Check("partitions", False, "the writer is about to end")
        if self._partitions is None:
            return Check("partitions", False, "has not joined its group yet, or joins it again")
        if self._waiting:
            return Check(
                "partitions",
                False,
                f"{self._waiting} of {self._partitions} partitions wait for the lake or Kafka "
                "before they can begin",
            )
        if self._partitions == 0:
            return Check("partitions", True, "holds none: stands by for the others of its group")
        return Check("partitions", True, f"holds {self._partitions}")


def _answering(name: str, trouble: str | None) -> Check:
    return Check(name, trouble is None, "answered at the last try" if trouble is None else trouble)
