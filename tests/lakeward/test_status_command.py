"""``lakeward status`` as a person and as a program reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.tenants.access import open_registry
from tests.kafka_servers.topics import KafkaForTest
from tests.lake.writer.rig import Rig


@pytest.fixture
def rig(embedded_kafka: KafkaForTest) -> Rig:
    made = Rig.make(embedded_kafka, partitions=1)
    made.produce(20, poison=2)
    made.drain()
    return made


def status(rig: Rig, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    _, env = rig.command()
    command = [sys.executable, "-m", "lakeward", "status", "--contracts", "visits", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **env, "COLUMNS": "140", **more},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def cells(text: str, first: str) -> list[str]:
    """The words of the line that begins with ``first``."""
    (line,) = [line for line in text.splitlines() if line.lstrip().startswith(first)]
    return line.split()


def test_a_person_sees_where_everything_stands(rig: Rig) -> None:
    open_registry(rig.kafka.settings).create("acme", who="anna")
    done = status(rig)
    assert (done.returncode, done.stderr) == (0, "")
    assert cells(done.stdout, rig.topic) == [f"{rig.topic}[0]", "21", "22", "0", "-"]
    table = cells(done.stdout, "bronze.visits")
    assert table[1:3] == ["20", "1"]
    assert table[-1] == "2"
    assert "dead letters of visits in 24 h: not_json 2" in done.stdout
    assert "lag 0; writers at work: 0" in done.stdout
    assert "tenants: 1 active" in done.stdout


def test_what_is_wrong_is_said_with_what_to_do_and_ends_with_one(rig: Rig) -> None:
    rig.produce(3)
    done = status(rig)
    assert done.returncode == 1
    assert "wrong: 3 messages wait, and no writer is at work" in done.stdout
    assert "`lakeward write` takes them" in done.stdout


def test_a_program_gets_the_same_as_json(rig: Rig) -> None:
    rig.produce(3)
    done = status(rig, "--json")
    assert done.returncode == 1
    found: dict[str, Any] = json.loads(done.stdout)
    (part,) = found["partitions"]
    assert (part["stored"], part["end"], part["lag"]) == (21, 25, 3)
    assert 0 <= part["lag_seconds"] < 3_600
    (table,) = found["tables"]
    assert (table["rows"], table["dead_letters_24h"]) == (20, {"not_json": 2})
    assert 0 <= table["seconds_since_commit"] < 3_600
    assert (found["lag"], found["writers"]) == (3, 0)
    assert [p["what"] for p in found["problems"]] == ["3 messages wait, and no writer is at work"]


def test_a_kafka_that_is_away_is_told_beside_the_tables(rig: Rig) -> None:
    done = status(rig, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert cells(done.stdout, rig.topic) == [f"{rig.topic}[0]", "21", "-", "?", "-"]
    assert "wrong: " in done.stdout
    assert "127.0.0.1:1" in done.stdout


def test_a_lag_that_nobody_knows_is_not_shown_as_none(tmp_path: Path) -> None:
    nowhere = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "LAKEWARD_"))}
    done = subprocess.run(
        [sys.executable, "-m", "lakeward", "status"],
        env={**nowhere, "LAKEWARD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "lag unknown" in done.stdout
    assert done.returncode == 1
