"""A publisher of Apache Kafka that is killed anywhere neither loses nor doubles a change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Final

from lake.tables import Lake
from tests.kafka_servers.topics import KafkaForTest
from tests.serving.published import MART, TENANTS, Table, committed, rebuilt, send

ROOT: Final = Path(__file__).parents[2]
DAY: Final = date(2026, 3, 1)
PUBLISHER: Final = """
import sys
from ingest.settings import IngestSettings
from lake.tables import Lake
from serving.publish import run
from serving.publish.target import Target
from tests.serving.published import MART
def tell(*told):
    print(*told, flush=True)
    sys.stdin.readline()
run.MESSAGES_A_TRANSACTION = 1_500
run.publish(
    IngestSettings(_env_file=None), Lake(sys.argv[1]), Target(MART, sys.argv[2]),
    run.Options(sys.argv[2] + ".at"), on_progress=tell,
)
"""
"""Waits for a line whenever it has told of its progress, so that it cannot be done too early."""


def killed_after(kafka: KafkaForTest, table: Table, topic: str, lines: int) -> bool:
    """Publish in another process, kill it soon after it told so often; tell whether it lived."""
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, table.lake.root, topic],
        cwd=ROOT,
        env={**os.environ, **kafka.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = 0
        for line in process.stdout:
            told += "sending" in line
            process.stdin.write("\n")
            process.stdin.flush()
            if told > lines:
                process.kill()
                break
    return process.returncode != 0


def test_a_killed_publisher_goes_on_and_sends_each_change_once(
    apache_kafka: KafkaForTest, tmp_path: Path
) -> None:
    kafka, table = apache_kafka, Table(Lake(str(tmp_path / "lake")))
    topic = kafka.unique("results")
    expected: Counter[str] = Counter()
    before: dict[str, dict[str, object]] = {}
    for round_, strikes in enumerate([(0, 3), (1,)]):
        for tenant in TENANTS:
            table.overwrite(tenant, DAY, table.fill(tenant, DAY, 900 - 300 * round_))
        after = table.rows()
        expected.update(key for key, row in after.items() if before.get(key) != row)
        expected.update(before.keys() - after.keys())
        before = after
        assert [killed_after(kafka, table, topic, lines) for lines in strikes] == [True] * len(
            strikes
        )
        assert rebuilt(committed(kafka, topic)) != after, "killed too late to tell anything"
        done = send(kafka, table, topic)
        assert done.messages > 0
        messages = committed(kafka, topic)
        assert rebuilt(messages) == after
    assert len(messages) == expected.total(), "each change is there exactly once"
    assert send(kafka, table, topic, is_full=True).messages == 0
    assert MART.key
