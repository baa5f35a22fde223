from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.broker import EmbeddedBroker
from ingest.generator.ledger import Ledger
from ingest.kafka import client_config
from ingest.settings import IngestSettings

PATIENCE_S = 300.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a running embedded broker."""
    with EmbeddedBroker(tmp_path / "home"):
        yield tmp_path / "home"


def lakeward(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lakeward", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "200"},
    )


def wait_until_it_sends(process: subprocess.Popen[str], home: Path) -> None:
    """Return when the broker has some of what a command sends."""
    settings = IngestSettings(_env_file=None, home=home)
    consumer = Consumer({**client_config(settings), "group.id": "who-waits"})
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not any(
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
            for topic, facts in consumer.list_topics(timeout=30).topics.items()
            for partition in facts.partitions
        ):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        consumer.close()


def ledgers(home: Path) -> list[Ledger]:
    return [Ledger.load(path) for path in sorted((home / "generator").glob("ledger-*.json"))]


def test_a_backfill_prints_and_keeps_its_ledger(home: Path) -> None:
    arguments = ["--backfill", "14d", "--events", "5_000", "--quality-rate", "0.1"]
    answer = lakeward(home, "generate", *arguments, "--ledger-events")
    assert answer.returncode == 0, answer.stderr
    (ledger,) = ledgers(home)
    assert ledger.complete
    assert ledger.messages == ledger.acknowledged
    assert f"{ledger.messages:,} of {ledger.messages:,} messages acknowledged" in answer.stdout
    assert str(ledger.path) in answer.stdout
    for name, entry in ledger.contracts.items():
        row = next(line for line in answer.stdout.splitlines() if line.strip().startswith(name))
        assert row.split()[1:] == [
            f"{n:,}"
            for n in (
                entry.messages, entry.events, entry.duplicates, entry.dead, entry.rescued,
                entry.late, entry.future,
            )
        ]  # fmt: skip
    assert ledger.events().num_rows == ledger.messages


def test_json_is_the_ledger_itself(home: Path) -> None:
    answer = lakeward(home, "generate", "--backfill", "2h", "--events", "300", "--json")
    (ledger,) = ledgers(home)
    told = json.loads(answer.stdout)
    assert told.pop("seconds") > 0
    assert told == ledger.document()
    assert sum(e.events for e in ledger.contracts.values()) == 300


def test_the_same_seed_and_end_make_the_same_ledger(home: Path) -> None:
    arguments = ["--backfill", "7d", "--events", "2000", "--end", "2025-03-01", "--seed", "4"]
    for _ in range(2):
        assert lakeward(home, "generate", *arguments, "--quality-issues").returncode == 0
    one, two = (ledger.document() for ledger in ledgers(home))
    assert one.pop("run_id") != two.pop("run_id")
    assert one == two


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_run_ends_in_good_order_on_a_signal(home: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward", "generate", "--rate", "6000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "200"},
    )
    wait_until_it_sends(process, home)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    (ledger,) = ledgers(home)
    assert ledger.complete
    assert ledger.messages == ledger.acknowledged > 0
    assert f"{ledger.messages:,} messages acknowledged" in out


def test_a_backfill_cut_short_says_so_and_has_a_true_ledger(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lakeward", "generate", "--backfill", "30d", "--events", "9000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "200"},
    )
    wait_until_it_sends(process, home)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "interrupted" in err
    (ledger,) = ledgers(home)
    assert not ledger.complete
    assert f"{ledger.acknowledged:,} of {ledger.messages:,} messages acknowledged" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--events", "5"], "--backfill 30d"),
        (["--backfill", "30d", "--rate", "9"], "--rate and --duration"),
        (["--backfill", "soon"], "30d, 12h"),
        (["--backfill", "5m"], "at least one hour"),
        (["--backfill", "1d", "--end", "2999-01-01"], "lies ahead"),
        (["--duration", "0s"], "--duration"),
        (["--tenants", "nobody"], "tenants with sites"),
        (["--contracts", "orders"], "no events of `orders`"),
        (["--backfill", "1d"], "lakeward broker"),
    ],
)
def test_a_wrong_request_is_one_clear_message(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = lakeward(tmp_path, "generate", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr
    assert ledgers(tmp_path) == []
