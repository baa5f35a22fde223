"""The processes of ``lakeward up``: they come up together, are mended, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.errors import HomeInUseError, PortError, StackError
from orchestration.stack import ports
from orchestration.stack.home_lock import home_lock
from orchestration.stack.service import Service
from orchestration.stack.stack import RESTARTS, Stack

PATIENCE_S = 120.0


class Console:
    """What a user would read."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.warnings: list[tuple[str, str]] = []

    def show(self, name: str, line: str) -> None:
        self.warnings.append((name, line))


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def stack(tmp_path: Path, console: Console) -> Iterator[Stack]:
    stack = Stack(tmp_path / "logs", say=console.news.append, show=console.show)
    yield stack
    stack.kill_all()


def script(
    name: str, code: str, is_ready: Callable[[], bool] = lambda: True, **seconds: float
) -> Service:
    return Service(
        name=name,
        what="a test",
        command=(sys.executable, "-c", code),
        is_ready=is_ready,
        **seconds,
    )


def never() -> bool:
    return False


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


SLEEP = "import time; time.sleep(600)"


def test_services_start_at_once_and_are_waited_for(stack: Stack, tmp_path: Path) -> None:
    touch = "import pathlib, sys, time; pathlib.Path({!r}).touch(); time.sleep(600)"
    a, b = tmp_path / "a", tmp_path / "b"
    stack.start(
        [script("a", touch.format(str(a)), a.exists), script("b", touch.format(str(b)), b.exists)],
        interrupted=never,
    )
    assert a.exists()
    assert b.exists()


def test_a_process_that_ends_at_its_start_is_told_with_its_last_words(
    stack: Stack, tmp_path: Path
) -> None:
    with pytest.raises(StackError) as failure:
        stack.start(
            [script("page", "import sys; sys.exit('no such table')", never)], interrupted=never
        )
    assert failure.value.message == "page ended at its start (exit code 1)"
    assert "no such table" in str(failure.value.hint)
    assert str(tmp_path / "logs" / "page.log") in str(failure.value.hint)


def test_a_process_that_never_becomes_ready_is_told(stack: Stack) -> None:
    with pytest.raises(StackError, match="slow was not ready after 1 s"):
        stack.start([script("slow", SLEEP, never, start_seconds=1.0)], interrupted=never)


def test_starting_can_be_interrupted(stack: Stack) -> None:
    stack.start([script("slow", SLEEP, never)], interrupted=lambda: True)
    pid = stack.pid("slow")
    stack.stop_all()
    assert not alive(pid)


def test_output_goes_to_a_log_and_warnings_also_to_the_console(
    stack: Stack, console: Console, tmp_path: Path
) -> None:
    code = "print('all is well'); print('WARNING the disk is nearly full'); " + SLEEP
    stack.start([script("writer", code)], interrupted=never)
    log = tmp_path / "logs" / "writer.log"
    eventually(lambda: bool(console.warnings))
    assert log.read_text() == "all is well\nWARNING the disk is nearly full\n"
    assert console.warnings == [("writer", "WARNING the disk is nearly full")]


def test_a_crashed_process_is_started_again_and_the_user_is_told(
    stack: Stack, console: Console
) -> None:
    stack.start([script("writer", SLEEP)], interrupted=never)
    first = stack.pid("writer")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: stack.tend() or stack.pid("writer") != first)
    assert alive(stack.pid("writer"))
    assert console.news[0].startswith("writer ended by itself (SIGKILL); starting it again in 1 s")
    assert console.news[1] == f"writer runs again (process {stack.pid('writer')})"


def test_restarts_are_bounded_and_farther_and_farther_apart(
    tmp_path: Path, console: Console
) -> None:
    now = [0.0]
    stack = Stack(
        tmp_path / "logs", say=console.news.append, show=console.show, clock=lambda: now[0]
    )
    stack.start([script("writer", "import sys; sys.exit(3)")], interrupted=never)

    def tend() -> bool:
        """Look once; the clock goes on only while nothing runs, however slow the machine is."""
        stack.tend()
        if not alive(stack.pid("writer")):
            now[0] += 1
        return False

    with pytest.raises(StackError, match="writer ended 6 times within 10 minutes"):
        eventually(tend)
    waits = [line.split(" in ")[1].split(" s ")[0] for line in console.news if " in " in line]
    assert waits == ["1", "2", "4", "8", "16"]
    assert len(waits) == RESTARTS
    stack.kill_all()


def test_a_process_that_needs_the_user_is_not_started_again(stack: Stack) -> None:
    code = "import sys; print('error: the topic was made anew'); sys.exit(2)"
    stack.start([script("writer", code)], interrupted=never)

    def tend() -> bool:
        stack.tend()
        return False

    with pytest.raises(StackError, match="writer stopped and needs you") as failure:
        eventually(tend)
    assert "the topic was made anew" in str(failure.value.hint)


def test_stopping_ends_grandchildren_too(stack: Stack, tmp_path: Path) -> None:
    told = tmp_path / "grandchild"
    code = (
        "import pathlib, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"pathlib.Path({str(told)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    stack.start(
        [script("parent", code, lambda: told.exists() and bool(told.read_text()))],
        interrupted=never,
    )
    grandchild = int(told.read_text())
    assert alive(grandchild)
    stack.stop("parent")
    eventually(lambda: not alive(grandchild))


def test_a_process_that_does_not_stop_is_killed_and_the_user_is_told(
    stack: Stack, console: Console, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf"
    code = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(deaf)!r}).touch()\n"
        "time.sleep(600)"
    )
    stack.start([script("deaf", code, deaf.exists, stop_seconds=0.5)], interrupted=never)
    pid = stack.pid("deaf")
    stack.stop("deaf")
    assert not alive(pid)
    assert console.news == ["deaf did not stop within 0.5 s and was killed"]


def test_a_process_gets_its_time_to_end_by_itself(stack: Stack, tmp_path: Path) -> None:
    ready, goodbye = tmp_path / "ready", tmp_path / "goodbye"
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        f"    time.sleep(0.5); pathlib.Path({str(goodbye)!r}).touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(600)"
    )
    stack.start([script("polite", code, ready.exists)], interrupted=never)
    stack.stop("polite")
    assert goodbye.exists()


def test_stop_all_stops_the_last_started_first(stack: Stack, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write('{{0}} '); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(tmp_path)!r}, '{{0}}').touch()\n"
        "time.sleep(600)"
    )
    names = ["broker", "writer", "page"]
    for name in names:
        stack.start([script(name, code.format(name), (tmp_path / name).exists)], interrupted=never)
    stack.stop_all()
    assert order.read_text().split() == ["page", "writer", "broker"]
    assert stack.names == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_processes_end_when_lakeward_up_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import pathlib, sys, time\n"
        "from orchestration.stack.service import Service\n"
        "from orchestration.stack.stack import Stack\n"
        f"stack = Stack(pathlib.Path({str(tmp_path)!r}), say=print, show=print)\n"
        f"command = (sys.executable, '-c', {SLEEP!r})\n"
        "stack.start([Service('s', '', command, lambda: True)], interrupted=lambda: False)\n"
        f"pathlib.Path({str(told)!r}).write_text(str(stack.pid('s')))\n"
        "time.sleep(600)"
    )
    up = subprocess.Popen([sys.executable, "-c", code])
    eventually(lambda: told.exists() and bool(told.read_text()))
    child = int(told.read_text())
    assert alive(child)
    up.kill()
    up.wait()
    eventually(lambda: not alive(child))


def test_a_second_up_in_the_same_home_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        home_lock(tmp_path),
        pytest.raises(HomeInUseError, match=f"process {os.getpid()}"),
        home_lock(tmp_path),
    ):
        pass
    with home_lock(tmp_path):
        pass


def test_a_port_in_use_is_refused_when_asked_for_and_passed_over_when_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "DAGSTER_PORT", port)
        with pytest.raises(PortError, match=f"port {port} of 127.0.0.1 is in use"):
            ports.choose("127.0.0.1", port)
        assert ports.choose("127.0.0.1", None) > port
