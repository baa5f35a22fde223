"""How long from an event's append until a reader can query it, at a steady pace.

A producer appends events at 10,000 a second to Apache Kafka; ``lakeward write`` runs beside it with
``LAKEWARD_FLUSH_SECONDS=1``; a reader has the Delta table open and asks every 20 ms for a newer
version. An event's latency runs from the timestamp that the producer gave it (its ``produce``
call, by the same machine's clock) until the reader first has the version that holds its row, so it
includes the producer's own linger of 5 ms and the reader's polling. Every row counts, but for
those of the first seconds, when the writer has just started. No figure unless the audit is clean.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from deltalake import DeltaTable

from benchmarks.report import Figure, publish
from benchmarks.rig.progress import say
from benchmarks.rig.servers import broker
from benchmarks.rig.topic import PARTITIONS, write_contract
from benchmarks.rig.watched import Watched, python
from ingest.kafka import LIBRDKAFKA_LOGGER
from lake.audit import audit
from lake.delta_log import read_commit_infos
from lake.tables import Lake, read_rows
from lake.writer.commit import METADATA_KEY

LOOK_EVERY_S = 0.02
WARM_UP_S = 5.0
TIMEOUT_S = 60.0
Seconds = np.ndarray[Any, np.dtype[np.float64]]
BARS = {50: 0.8, 95: 1.5, 99: 3.0}


class Reader:
    """Has a table open and notes when it first has each version."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.seen: dict[int, float] = {}
        """Version to seconds since the epoch."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not DeltaTable.is_deltatable(self._uri):
            if self._ended.wait(LOOK_EVERY_S):
                return
        table, last = DeltaTable(self._uri), -1
        while True:
            table.update_incremental()
            now = time.time()
            for version in range(last + 1, table.version() + 1):
                self.seen[version] = now
            last = table.version()
            if self._ended.wait(LOOK_EVERY_S):
                return


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        with broker("apache", folder) as server:
            name = "clean-events"
            admin = AdminClient({"bootstrap.servers": server.address}, logger=LIBRDKAFKA_LOGGER)
            admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(TIMEOUT_S)
            write_contract(folder / "contracts", "clean", name)
            lake = Lake(str(folder / "lake"))
            environment = {
                **server.environment,
                "LAKEWARD_CONTRACTS_DIR": str(folder / "contracts"),
                "LAKEWARD_LAKE_ROOT": lake.root,
                "LAKEWARD_FLUSH_SECONDS": str(asked.flush),
            }
            write = python(
                "-m", "lakeward", "write", "--log-format", "json", "--contracts", "clean"
            )
            reader = Reader(lake.uri("bronze", "clean"))
            pace = python("-m", "benchmarks.rig.pace", server.address, name, str(asked.rate))
            with Watched(write, folder / "writer.log", environment=environment) as writer:
                _wait_for(lake)
                say(f"{server.name} and the writer are up; {asked.rate:,}/s for {asked.seconds} s")
                began = time.time()
                with Watched([*pace, str(asked.seconds)], folder / "pace.log") as producer:
                    told = json.loads(producer.wait(10 * asked.seconds + TIMEOUT_S))
                time.sleep(3 * asked.flush)
                cpu = writer.cpu_between(began, began + asked.seconds)
                writer.process.terminate()
                writer.wait(TIMEOUT_S)
            reader.end()
        report = audit(lake)
        assert report.is_clean, report.findings
        assert report.rows == told["messages"], (report.rows, told)
        say(
            f"{report.rows:,} rows, audit clean; latest turn of the producer {told['latest']:.3f} s"
        )
        latencies = latencies_of(lake, "clean", reader.seen, began + WARM_UP_S)
    figures = [
        Figure(
            f"append to queryable, p{share}",
            float(np.percentile(latencies, share)),
            "s",
            bar if asked.rate == 10_000 and asked.flush == 1 else None,
            higher_is_better=False,
        )
        for share, bar in BARS.items()
    ]
    publish(
        "latency",
        [
            *figures,
            Figure("append to queryable, the most", float(latencies.max()), "s"),
            Figure("events a second", asked.rate, "messages/s"),
            Figure("commits", len(reader.seen), "versions"),
            Figure("CPU of the writer", 100 * cpu / asked.seconds, "% of a core"),
            Figure("CPU time a message", 1e6 * cpu / told["messages"], "us"),
            Figure("peak RSS", writer.peak / 1e6, "MB"),
        ],
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency")
    parser.add_argument("--rate", type=int, default=10_000, help="events a second [10000]")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long [60]")
    parser.add_argument("--flush", type=float, default=1.0, help="LAKEWARD_FLUSH_SECONDS [1]")
    return parser.parse_args(sys.argv[1:])


def _wait_for(lake: Lake) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not lake.exists("bronze", "clean"):
        assert time.monotonic() < deadline, f"the writer made no table in {TIMEOUT_S:.0f} s"
        time.sleep(0.1)


def latencies_of(
    lake: Lake, name: str, seen: dict[int, float], after: float, since: str = "_appended_at"
) -> Seconds:
    """Return the seconds from ``since``, a column, to queryable of each row later than a moment."""
    table = lake.open("bronze", name)
    seen_at = {}
    for version, info in read_commit_infos(table, -1, None):
        record = json.loads(info.get(METADATA_KEY, "{}"))
        if "committed_at" in record:
            seen_at[datetime.fromisoformat(record["committed_at"])] = seen[version]
    rows = read_rows(table, ["_committed_at", since])
    appended = rows[since].cast("int64").to_numpy() / 1e6
    encoded = rows["_committed_at"].combine_chunks().dictionary_encode()
    moments = np.array([seen_at[at] for at in encoded.dictionary.to_pylist()])
    queryable = moments[encoded.indices.to_numpy()]
    latencies: Seconds = (queryable - appended)[appended >= after]
    return latencies


if __name__ == "__main__":
    main()
