"""A real Superset on a real lake, for one module: made by the commands that a user runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.broker import EmbeddedBroker
from lake.read import LakeReader
from lake.tables import Lake
from serving.superset.api import answers

PATIENCE_S = 900.0
EVENTS = 20_000
DAYS = 40
"""Enough for a comparison with the period before, and for anomalies' baselines."""


def fill(home: Path) -> None:
    """Make a lake with marts and a catalog."""
    with EmbeddedBroker(home) as broker:
        environment = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
        for arguments in (
            ("generate", "--backfill", f"{DAYS}d", "--events", str(EVENTS), "--quality-issues"),
            ("write", "--until-current"),
            ("build", "--no-tests"),
        ):
            run(home, *arguments, **environment)


def run(home: Path, *arguments: str, exit_code: int = 0, **environment: str) -> str:
    """Run ``lakeward`` and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "lakeward", *arguments],
        cwd=home,
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "160", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    output = done.stdout + done.stderr
    assert done.returncode == exit_code, f"{arguments}\n{output}"
    return output


@dataclass(slots=True)
class RunningSuperset:
    """``lakeward superset up`` as a process."""

    home: Path
    process: subprocess.Popen[str]
    url: str
    password: str
    said: str

    @classmethod
    def start(cls, home: Path) -> RunningSuperset:
        """Start it and wait until it says how to open it."""
        log = home / "up.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "lakeward", "superset", "up"],
                cwd=home,
                env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "160"},
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )
        deadline = time.monotonic() + PATIENCE_S
        while "Ctrl-C stops it" not in (said := log.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"superset up did not come up:\n{said}")
            time.sleep(0.5)
        url = re.search(r"^open (http\S+)", said, re.MULTILINE)
        password = re.search(r"password (\S+)", said)
        assert url, said
        assert password, said
        return cls(home, process, url[1], password[1], said)

    def stop(self) -> str:
        """Press Ctrl-C, and return all that it said."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) == 0
        assert not answers(self.url)
        return (self.home / "up.log").read_text()


def ask(home: Path, sql: str) -> list[dict[str, object]]:
    """Return the rows of a query of the lake."""
    with LakeReader(Lake(str(home / "lake"))) as reader:
        rows: list[dict[str, object]] = reader.table(sql).to_pylist()
    return rows
