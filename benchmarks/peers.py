"""The writer beside what else one would use, on the same topic of Apache Kafka, in turns.

- A plain consumer: ``json.loads`` a message, ``Table.from_pylist`` and ``write_deltalake`` (zstd 1)
  for every 10,000 messages; it commits offsets on a timer, so it is not exactly once.
- The same code with the usual micro-batch of 100.
- Spark Structured Streaming on both cores: Kafka source, ``from_json`` with a schema, Delta sink
  (zstd 1), trigger ``availableNow`` in ten micro-batches. The time is that of the query's own
  progress from the sixth on: neither the start of the JVM nor its warm-up count against it.

The topic has four partitions, so that Spark's tasks fill two cores evenly. The medians count.
Spark is fetched by this script, into a folder of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, publish
from benchmarks.rig.drain import Drained, drain
from benchmarks.rig.plain import Plain, plain
from benchmarks.rig.progress import say
from benchmarks.rig.servers import broker
from benchmarks.rig.spark import Streamed, streamed
from benchmarks.rig.spark_home import DELTA, SPARK, spark_home
from benchmarks.rig.topic import fill

PARTITIONS = 4
BIG, MICRO = 10_000, 100
MB = 1e6


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    home = None if asked.no_spark else spark_home()
    ours: list[Drained] = []
    theirs: dict[int, list[Plain]] = {BIG: [], MICRO: []}
    sparks: list[Streamed] = []
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        contracts = folder / "contracts"
        with broker("apache", folder) as server:
            say(f"{server.name} is up; filling a topic with {asked.messages:,} messages")
            topic = fill(server, contracts, "clean", asked.messages, partitions=PARTITIONS)
            for round_ in range(1, asked.rounds + 1):
                ours.append(drain(server, topic, contracts, folder))
                say(f"round {round_}: lakeward {ours[-1].rate:,.0f}/s, audit clean")
                for batch, found in theirs.items():
                    found.append(plain(server, topic, batch, asked.seconds, folder))
                    say(f"round {round_}: plain consumer, {batch:,}: {found[-1].rate:,.0f}/s")
                if home is not None:
                    sparks.append(streamed(home, server, topic, folder))
                    say(
                        f"round {round_}: Spark {sparks[-1].rate:,.0f}/s (first micro-batch "
                        f"{sparks[-1].first_rate:,.0f}/s)"
                    )
    publish("peers", _figures(ours, theirs, sparks))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers")
    parser.add_argument("--messages", type=int, default=3_000_000, help="[3000000]")
    parser.add_argument("--rounds", type=int, default=2, help="[2]")
    parser.add_argument("--seconds", type=float, default=12.0, help="for a plain consumer [12]")
    parser.add_argument("--no-spark", action="store_true", help="leave Spark out")
    return parser.parse_args(sys.argv[1:])


def _figures(
    ours: Sequence[Drained], theirs: dict[int, list[Plain]], sparks: Sequence[Streamed]
) -> list[Figure]:
    rate, cpu = median(one.rate for one in ours), median(one.cpu for one in ours)
    figures = [
        Figure("lakeward, exactly once", rate, "messages/s"),
        Figure("lakeward, CPU time a message", 1e6 * cpu, "us"),
    ]
    for batch, bar in ((BIG, 2.2), (MICRO, 60.0)):
        name = f"plain consumer, batches of {batch:,}"
        plain_rate = median(one.rate for one in theirs[batch])
        plain_cpu = median(one.cpu for one in theirs[batch])
        figures += [
            Figure(name, plain_rate, "messages/s"),
            Figure(f"{name}, CPU time a message", 1e6 * plain_cpu, "us"),
            Figure(f"lakeward against the {name}", rate / plain_rate, "x", bar),
            Figure(f"lakeward against the {name}, by CPU time", plain_cpu / cpu, "x"),
        ]
    if sparks:
        name = f"Spark {SPARK} with Delta {DELTA}, local[2]"
        spark_rate = median(one.rate for one in sparks)
        spark_cpu = median(one.cpu for one in sparks)
        best = max(one.best_rate for one in sparks)
        figures += [
            Figure(name, spark_rate, "messages/s"),
            Figure(f"{name}, CPU time a message", 1e6 * spark_cpu, "us"),
            Figure(f"{name}, peak RSS", max(one.peak for one in sparks) / MB, "MB"),
            Figure(f"{name}, its quickest micro-batch", best, "messages/s"),
            Figure("lakeward against Spark", rate / spark_rate, "x", 2),
            Figure("lakeward against Spark's quickest micro-batch", rate / best, "x"),
            Figure("lakeward against Spark, by CPU time", spark_cpu / cpu, "x"),
        ]
    return figures


if __name__ == "__main__":
    main()
