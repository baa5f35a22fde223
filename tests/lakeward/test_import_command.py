from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker

LOG = "\n".join(
    f'203.0.113.{n} - - [17/May/2015:10:05:{n:02} +0000] "GET /p{n} HTTP/1.1" 200 {n} "-" "curl"'
    for n in range(30)
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a running embedded broker."""
    with EmbeddedBroker(tmp_path / "home"):
        yield tmp_path / "home"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(LOG + "\nbroken\n")
    return path


def lakeward(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakeward", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "200"},
    )


def test_a_log_is_brought_in_once(home: Path, log: Path) -> None:
    arguments = ["import", str(log), "-c", "clickstream", "--map", "access_log", "-t", "acme"]
    first = lakeward(home, *arguments)
    assert first.returncode == 0, first.stderr
    assert "31 lines = 30 sent + 1 refused" in first.stdout
    assert "not_a_log_line 1" in first.stdout
    rejects = first.stdout.split("refused lines: ")[1].strip()
    assert json.loads(Path(rejects).read_text())["line"] == 31

    second = lakeward(home, *arguments)
    assert second.returncode == 0
    assert "already imported, nothing was sent" in second.stdout

    third = lakeward(home, *arguments, "--again", "--json")
    assert json.loads(third.stdout)["sent_now"] == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.log", "-c", "clickstream"], "gone.log: cannot be read"),
        (["LOG", "-c", "clicks"], "no contract `clicks`"),
        (["LOG", "-c", "clickstream", "-m", "gone.yaml"], "gone.yaml: the mapping cannot be read"),
        (["LOG", "-c", "conversions", "-m", "access_log"], "for the contract `clickstream`"),
        (["LOG", "-c", "clickstream", "-m", "access_log"], "--tenant"),
        (["LOG", "-c", "clickstream", "-f", "jsonl", "-t", "a"], "Nothing was sent"),
        (["LOG", "-c", "clickstream", "-m", "access_log", "-t", "a"], "lakeward broker"),
    ],
)
def test_a_wrong_request_is_one_clear_message(
    tmp_path: Path, log: Path, arguments: list[str], words: str
) -> None:
    named = [str(log) if argument == "LOG" else argument for argument in arguments]
    answer = lakeward(tmp_path / "home", "import", *named)
    assert answer.returncode == 2, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
