"""One running process of a service, with everything it started, and its log."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from orchestration.stack import tether
from orchestration.stack.log_lines import worth_showing
from orchestration.stack.service import Service

LOG_BYTES = 10 * 2**20
LOGS_KEPT = 3
LINES_REMEMBERED = 12
POLL_S = 0.05
READ_S = 2.0


class Child:
    """A started service. It leads a process group of its own, so that its children end with it."""

    def __init__(self, service: Service, logs: Path, show: Callable[[str, str], None]) -> None:
        """Start ``service``; ``show(name, line)`` is called for lines that look like warnings."""
        self.service = service
        self.log = logs / f"{service.name}.log"
        self.tail: deque[str] = deque(maxlen=LINES_REMEMBERED)
        self._show = show
        self._cleared = False
        self.said_ready = False
        logs.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - commands are made by this package
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *service.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **service.environment},
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(
            target=self._copy_output, name=f"log-{service.name}", daemon=True
        )
        self._reader.start()

    @property
    def is_ready(self) -> bool:
        """True once it does its work."""
        if self.service.ready_line is not None and not self.said_ready:
            return False
        return self.service.is_ready()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """The process, which is also its group."""
        return self._process.pid

    def ended(self) -> str | None:
        """None while it runs, else how it ended in words."""
        code = self._process.poll()
        if code is None:
            return None
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def ask_to_end(self) -> None:
        """Send SIGTERM to the process alone, which knows in which order its own children end."""
        if self._process.poll() is None:
            self._process.terminate()

    def clear(self) -> None:
        """Kill what is left of it and of all it started, and read its output to the end."""
        if self._cleared:
            return
        self._cleared = True  # once only: an empty group's number may come to belong to another
        with suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=READ_S)

    def wait(self, seconds: float, hurry: Callable[[], bool]) -> bool:
        """Wait for its end; False when it still runs after ``seconds`` or at ``hurry``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not hurry():
            if self._process.poll() is not None:
                return True
            time.sleep(POLL_S)
        return self._process.poll() is not None

    def _copy_output(self) -> None:
        handler = RotatingFileHandler(
            self.log, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8"
        )
        handler.setFormatter(logging.Formatter("%(message)s"))
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                text = line.rstrip("\n")
                handler.handle(logging.LogRecord("up", logging.INFO, "", 0, text, None, None))
                if text.strip():
                    self.tail.append(text)
                if self.service.ready_line is not None and self.service.ready_line in text:
                    self.said_ready = True
                warning = worth_showing(text)
                if warning is not None:
                    self._show(self.service.name, warning)
        handler.close()
