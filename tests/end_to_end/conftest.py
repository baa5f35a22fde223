"""The ``lakeward`` command as a user runs it: another process, its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ingest.broker import EmbeddedBroker
from tests.conftest import kafka_for_test
from tests.kafka_servers.topics import KafkaForTest


class Lakeward(Protocol):
    """Runs a command and returns what it printed; fails the test when the exit code differs."""

    def __call__(self, *arguments: str, exit_code: int = 0, **environment: str) -> str: ...


def runner(home: Path, environment: dict[str, str]) -> Lakeward:
    def run(*arguments: str, exit_code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "lakeward", *arguments],
            cwd=home,
            env=os.environ | {"LAKEWARD_HOME": str(home), "COLUMNS": "160"} | environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )
        output = done.stdout + done.stderr
        assert done.returncode == exit_code, f"{arguments}\n{output}"
        return output

    return run


@pytest.fixture
def lakeward(tmp_path: Path) -> Lakeward:
    """Without a broker."""
    return runner(tmp_path, {})


@pytest.fixture(params=["embedded", "apache"])
def own_kafka(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaForTest]:
    """A broker that nobody else uses: the shipped contracts' topics have fixed names."""
    if request.param == "embedded":
        with EmbeddedBroker(tmp_path / "embedded") as broker:
            yield kafka_for_test("embedded", broker.bootstrap_servers, tmp_path)
    else:
        server = request.getfixturevalue("own_apache_kafka")
        yield kafka_for_test("apache", server.bootstrap_servers, tmp_path)


@pytest.fixture
def lakeward_on_kafka(own_kafka: KafkaForTest) -> Lakeward:
    """With that broker."""
    return runner(own_kafka.settings.home, own_kafka.environment)
