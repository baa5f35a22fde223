"""Running Spark Structured Streaming on a topic, and what counts of its run."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.rig.servers import Broker
from benchmarks.rig.spark_home import SparkHome
from benchmarks.rig.topic import Topic
from benchmarks.rig.watched import Watched
from tests.kafka_servers.distribution import java

BATCHES = 10
"""The stream comes in so many micro-batches."""

WARM_UP_BATCHES = 5
"""These do not count: the JVM is still compiling."""

SCRIPT = Path(__file__).with_name("spark_stream.py")
TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """What one run did, from the start of the first micro-batch that counts to the last one's end.

    By the query's own progress, so the start of the JVM does not count either.
    """

    rate: float
    """Messages a second."""
    cpu: float
    """CPU seconds a message, Python and JVM."""
    peak: int
    """Resident bytes, the most."""
    best_rate: float
    """Messages a second of the quickest micro-batch."""
    first_rate: float
    """Messages a second of the first micro-batch, for comparison."""


def streamed(home: SparkHome, broker: Broker, topic: Topic, folder: Path) -> Streamed:
    """Run the query on a new table and count its rows.

    Raises:
        AssertionError: the table has not one row for each message.
    """
    place = folder / "spark"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    batch = -(-topic.messages // BATCHES)
    command = [home.python, SCRIPT, broker.address, topic.name, place, home.jars, batch]
    java_home = Path(os.path.realpath(java())).parents[1]
    with Watched(
        [str(word) for word in command],
        folder / "spark.log",
        environment={"JAVA_HOME": str(java_home), "SPARK_LOCAL_DIRS": str(place / "local")},
    ) as child:
        told = child.wait(TIMEOUT_S)
    batches = [one for one in json.loads(told.splitlines()[-1]) if one["rows"]]
    rows = DeltaTable(str(place / "table")).count()
    assert rows == topic.messages, f"Spark wrote {rows:,} of {topic.messages:,} messages"
    shutil.rmtree(place)
    counted = batches[WARM_UP_BATCHES:]
    begin, end = _start(counted[0]), _start(counted[-1]) + counted[-1]["ms"] / 1000
    messages = sum(one["rows"] for one in counted)
    return Streamed(
        rate=messages / (end - begin),
        cpu=child.cpu_between(begin, end) / messages,
        peak=child.peak,
        best_rate=max(1000 * one["rows"] / one["ms"] for one in batches),
        first_rate=1000 * batches[0]["rows"] / batches[0]["ms"],
    )


def _start(batch: dict[str, Any]) -> float:
    return datetime.fromisoformat(batch["at"]).timestamp()
