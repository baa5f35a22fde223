"""A collector as a user runs it: the command, in a process of its own, on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

PATIENCE_S = 300.0


def environment_of(home: Path, **variables: str) -> dict[str, str]:
    """Return what a collector in ``home`` finds, with none of the settings of who runs the test."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(("LAKEWARD_", "KAFKA_"))},
        "LAKEWARD_HOME": str(home),
        "LAKEWARD_COLLECTOR_ADDRESS": "127.0.0.1:0",
        **variables,
    }


class RunningCollector:
    """``lakeward collect`` in a home; what it writes to standard error is in ``said``."""

    def __init__(self, home: Path, **variables: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.output = home / f"collector-{time.monotonic_ns()}.log"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "lakeward", "collect"),
                    *("--create-topics", "--log-format", "json"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment_of(home, **variables),
                cwd=home,
            )
        try:
            self.url = self._url()
        except BaseException:
            self.kill()
            raise
        self.keys: dict[str, str] = {}
        """Keys of its tenants, for tests that need several."""

    def _url(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = re.search(r'"url": "(http://[^"]+)"', self.said)
            if found is not None:
                return found[1]
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(self.said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def post(self, path: str, document: Any, key: str | None, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["X-Write-Key"] = key
        body = {"json": document} if document is not None else {}
        return httpx.post(self.url + path, headers=headers, timeout=30, **body, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, re.MULTILINE)
        assert found is not None, f"no metric {name}"
        return float(found[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)
