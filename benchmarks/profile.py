"""Where the writer's CPU time goes, stage by stage, at full speed.

One run of ``lakeward write`` is measured as it is, for its CPU time a message; a second one is
sampled by py-spy (with native frames) while the kernel's count of CPU time is read for each of its
threads. The threads that run no Python (librdkafka's, deltalake's) are told by their names. How
much of deltalake's work is the commit itself is measured apart, with commits of a few rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from benchmarks.report import OUT, Figure, publish
from benchmarks.rig.drain import Drained, drain, landed
from benchmarks.rig.progress import say
from benchmarks.rig.sampled import Sampled, sampled
from benchmarks.rig.servers import Broker, broker
from benchmarks.rig.topic import Topic, fill
from benchmarks.rig.watched import Watched, python
from lake.tables import Lake

POLL = "poll: messages from librdkafka, the loop"
FETCH = "poll: librdkafka's own threads (fetch, parse batches)"
ARROW = "Arrow: columns from the messages of a poll"
DECODE = "decode: JSON in DuckDB"
CHECK = "decode: checks, and columns in table order"
EXACT = "decode: doubtful messages one by one"
HAND_OVER = "commit: marks, schema, handing over to deltalake"
PARQUET = "Parquet and the Delta log: deltalake's threads"
OTHER = "other threads (allocators, DuckDB, Arrow)"

STAGES = (
    ("MainThread", "lake/writer/polled.py", ARROW),
    ("MainThread", "", POLL),
    ("decode", "ingest/contracts/exact.py", EXACT),
    ("decode", "lake/writer/duckdb_batch.py", DECODE),
    ("decode", "", CHECK),
    ("commit", "", HAND_OVER),
    ("", "", OTHER),
)
REST = {"rdk:": FETCH, "tokio": PARQUET, "": OTHER}
COMMITS = 50


def main() -> None:
    """Measure, print and keep the table."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        contracts = folder / "contracts"
        with broker("apache", folder) as server:
            say(f"{server.name} is up; filling a topic with {asked.messages:,} messages")
            topic = fill(server, contracts, "clean", asked.messages)
            plain = drain(server, topic, contracts, folder)
            say(f"as it is: {plain.rate:,.0f}/s, CPU {plain.cpu * 1e6:.2f} us a message")
            seen = _profile(server, topic, folder, asked.seconds)
            say(f"sampled for {asked.seconds} s")
        commit_cpu = _commit_cpu(folder)
    found = seen.by_stage(STAGES, REST)
    total = sum(found.values())
    rows = [(stage, cpu / total) for stage, cpu in _most_first(found)]
    table = _table(rows, plain, commit_cpu, topic)
    OUT.mkdir(exist_ok=True)
    (OUT / "profile-stages.md").write_text(table)
    publish(
        "profile",
        [
            Figure("CPU time a message, all threads", 1e6 * plain.cpu, "us"),
            *(Figure(stage, 100 * share, "% of the CPU time") for stage, share in rows),
            Figure("a commit of 15 rows", 1e3 * commit_cpu, "ms of CPU time"),
        ],
    )
    print(f"\n{table}\nkept in {OUT / 'profile-stages.md'}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks profile")
    parser.add_argument("--messages", type=int, default=4_000_000, help="[4000000]")
    parser.add_argument("--seconds", type=int, default=8, help="of sampling [8]")
    return parser.parse_args(sys.argv[1:])


def _profile(server: Broker, topic: Topic, folder: Path, seconds: int) -> Sampled:
    root = folder / "profiled"
    command = python("-m", "lakeward", "write", "--until-current", "--log-format", "json")
    environment = {
        **server.environment,
        "LAKEWARD_CONTRACTS_DIR": str(folder / "contracts"),
        "LAKEWARD_LAKE_ROOT": str(root),
    }
    with Watched(
        [*command, "--contracts", topic.contract], folder / "writer.log", environment=environment
    ) as child:
        lake = Lake(str(root))
        while not lake.exists("bronze", topic.contract) or len(landed(root, topic.contract)) < 3:
            assert child.process.poll() is None, "the writer ended before it was sampled"
            time.sleep(0.2)
        return sampled(child.process.pid, seconds, folder)


def _commit_cpu(folder: Path) -> float:
    """Return the CPU seconds that a commit of a few rows takes on a young table."""
    arguments = (str(folder / "commits"), str(COMMITS), str(COMMITS))
    with Watched(
        python("-m", "benchmarks.rig.commit_run", *arguments), folder / "commits.log"
    ) as child:
        return fmean(json.loads(child.wait(600))["cpus"])


def _most_first(found: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda one: -one[1])


def _table(rows: list[tuple[str, float]], plain: Drained, commit_cpu: float, topic: Topic) -> str:
    lines = ["| stage | share of the CPU time | us a message |", "|---|---:|---:|"]
    lines += [
        f"| {stage} | {100 * share:.0f} % | {1e6 * plain.cpu * share:.2f} |"
        for stage, share in rows
    ]
    each = topic.messages / plain.commits
    log = 1e6 * commit_cpu / each
    lines += [
        f"| all | 100 % | {1e6 * plain.cpu:.2f} |",
        "",
        f"Of what deltalake does, the commit itself takes about {log:.2f} us a "
        f"message: a commit of 15 rows costs {1e3 * commit_cpu:.0f} ms of CPU time, and a commit "
        f"had {each:,.0f} messages.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
