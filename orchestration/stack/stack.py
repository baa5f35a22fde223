"""All processes of ``lakeward up`` together: start, watch, mend, stop."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestration.errors import StackError
from orchestration.stack.child import Child
from orchestration.stack.service import Service

logger = logging.getLogger(__name__)

USER_ERROR = 2
"""A process that ends so says that the user must mend something: a restart would not help."""
RESTARTS = 5
RESTART_WINDOW_S = 600.0
FIRST_DELAY_S = 1.0
READY_POLL_S = 0.2


@dataclass(slots=True)
class _Seat:
    """A service's place: its present process, and when it crashed."""

    child: Child
    crashes: deque[float] = field(default_factory=deque)
    restart_at: float | None = None


class Stack:
    """Runs services as child processes.

    Not for use from several threads: the children are tied to the thread that starts them, and
    each method is called from the one loop of ``lakeward up``.
    """

    def __init__(
        self,
        logs: Path,
        *,
        say: Callable[[str], None],
        show: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where logs go, ``say`` for news, ``show(name, line)`` for a process's warnings."""
        self._logs = logs
        self._say = say
        self._show = show
        self._clock = clock
        self._seats: dict[str, _Seat] = {}
        self._hurried = False

    @property
    def names(self) -> list[str]:
        """The services, in the order in which they were started."""
        return list(self._seats)

    @property
    def services(self) -> list[Service]:
        """What is run, in the order in which it was started."""
        return [seat.child.service for seat in self._seats.values()]

    def hurry(self) -> None:
        """Let nothing have its time to end any more: whatever is being stopped is killed."""
        self._hurried = True

    def pid(self, name: str) -> int:
        """The present process of a service."""
        return self._seats[name].child.pid

    def start(self, services: Sequence[Service], *, interrupted: Callable[[], bool]) -> None:
        """Start all ``services`` at once and return when each is ready, or when interrupted.

        Raises:
            StackError: one ended, or was not ready in its time; says what it last wrote.
        """
        began = self._clock()
        for service in services:
            self._seats[service.name] = _Seat(Child(service, self._logs, self._show))
        waiting = list(services)
        while waiting and not interrupted():
            for service in list(waiting):
                child = self._seats[service.name].child
                ending = child.ended()
                if ending is not None:
                    child.clear()
                    raise StackError(
                        f"{service.name} ended at its start ({ending})", hint=_tail(child)
                    )
                if child.is_ready:
                    waiting.remove(service)
                elif self._clock() - began > service.start_seconds:
                    raise StackError(
                        f"{service.name} was not ready after {service.start_seconds:.0f} s",
                        hint=_tail(child),
                    )
            if waiting:
                time.sleep(READY_POLL_S)

    def tend(self) -> None:
        """Look at every process once; start again what crashed.

        A crashed process is started again after 1, 2, 4, ... seconds.

        Raises:
            StackError: one ended saying that the user must mend something, or crashed
                more than 5 times within 10 minutes.
        """
        for seat in self._seats.values():
            if seat.restart_at is None:
                self._look(seat)
            elif self._clock() >= seat.restart_at:
                seat.restart_at = None
                service = seat.child.service
                again = replace(service, command=service.restart_command or service.command)
                seat.child = Child(again, self._logs, self._show)
                self._say(f"{service.name} runs again (process {seat.child.pid})")

    def stop(self, *names: str) -> None:
        """Stop services, all at the same time, with all they started; one not there is no error."""
        seats = [self._seats.pop(name) for name in names if name in self._seats]
        for seat in seats:
            seat.child.ask_to_end()
        for seat in seats:
            service = seat.child.service
            in_time = seat.child.wait(service.stop_seconds, self._is_hurried)
            seat.child.clear()
            if not in_time and not self._hurried:
                self._say(
                    f"{service.name} did not stop within {service.stop_seconds:g} s and was killed"
                )

    def stop_all(self) -> None:
        """Stop what is left, the last started first."""
        for name in reversed(self.names):
            self.stop(name)

    def run_to_end(self, service: Service) -> None:
        """Run a command that ends by itself, within its ``stop_seconds``.

        Raises:
            StackError: it failed, or did not end in its time; says what it last wrote.
        """
        child = Child(service, self._logs, self._show)
        in_time = child.wait(service.stop_seconds, self._is_hurried)
        child.clear()
        if not in_time:
            raise StackError(f"{service.name} did not end in time", hint=_tail(child))
        if child.exit_code != 0:
            raise StackError(f"{service.name} failed ({child.ended()})", hint=_tail(child))

    def kill_all(self) -> None:
        """Kill every process at once."""
        for seat in self._seats.values():
            seat.child.clear()
        self._seats.clear()

    def _is_hurried(self) -> bool:
        return self._hurried

    def _look(self, seat: _Seat) -> None:
        child = seat.child
        ending = child.ended()
        if ending is None:
            return
        name, now = child.service.name, self._clock()
        child.clear()
        if child.exit_code == USER_ERROR:
            raise StackError(f"{name} stopped and needs you", hint=_tail(child))
        seat.crashes.append(now)
        while seat.crashes and now - seat.crashes[0] > RESTART_WINDOW_S:
            seat.crashes.popleft()
        if len(seat.crashes) > RESTARTS:
            raise StackError(
                f"{name} ended {len(seat.crashes)} times within "
                f"{RESTART_WINDOW_S / 60:.0f} minutes, last with {ending}",
                hint=_tail(child),
            )
        delay = FIRST_DELAY_S * 2 ** (len(seat.crashes) - 1)
        seat.restart_at = now + delay
        self._say(
            f"{name} ended by itself ({ending}); starting it again in {delay:.0f} s "
            f"(its log: {child.log})"
        )


def _tail(child: Child) -> str:
    lines = list(child.tail) or ["(it wrote nothing)"]
    return "\n  ".join([f"The end of {child.log}:", *lines])
