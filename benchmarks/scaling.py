"""Two writer processes in one group against one, on the same topic, into one table.

The topic has six partitions and is in the broker's memory. The second process joins while the first
one reads, so Kafka hands partitions over as it would in production. Speed is taken from the table,
between the commits with which 20 % and 70 % of all messages had landed: both are at work then, as
the CPU time of each shows. On two cores that the broker shares there is little to win for a writer
whose one process uses both; the bar is that two lose nothing. The rounds take turns, the median
counts, and the audit must be clean.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, publish
from benchmarks.rig.drain import TIMEOUT_S, landed
from benchmarks.rig.progress import say
from benchmarks.rig.servers import Broker, broker
from benchmarks.rig.topic import Topic, fill
from benchmarks.rig.watched import Watched, python
from lake.audit import audit
from lake.tables import Lake

PARTITIONS = 6
WINDOW = (0.2, 0.7)
FEWEST_SHARE = 0.2
"""A process that used less than this share of the CPU time was not at work in the window."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of some processes did."""

    rate: float
    """Messages a second, together."""
    cpu: float
    """CPU seconds a message, together."""
    shares: tuple[float, ...]
    """Of the CPU time, by process."""
    peak: int
    """Resident bytes, the most of one process."""


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    runs: dict[int, list[Run]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        with broker("apache", folder) as server:
            say(f"{server.name} is up; filling a topic with {asked.messages:,} messages")
            topic = fill(
                server, folder / "contracts", "clean", asked.messages, partitions=PARTITIONS
            )
            for round_ in range(1, asked.rounds + 1):
                for count, found in runs.items():
                    found.append(_run(server, topic, folder, count))
                    shares = " and ".join(f"{100 * share:.0f} %" for share in found[-1].shares)
                    say(
                        f"round {round_}: {count} process(es) {found[-1].rate:,.0f}/s, "
                        f"CPU {found[-1].cpu * 1e6:.2f} us a message ({shares}), audit clean"
                    )
    one, two = (median(run.rate for run in runs[count]) for count in (1, 2))
    cpu_one, cpu_two = (median(run.cpu for run in runs[count]) for count in (1, 2))
    publish(
        "scaling",
        [
            Figure("one process", one, "messages/s"),
            Figure("two processes, together", two, "messages/s"),
            Figure("two processes against one", two / one, "x", 1),
            Figure("CPU time a message, one process", 1e6 * cpu_one, "us"),
            Figure("CPU time a message, two processes", 1e6 * cpu_two, "us"),
            Figure("peak RSS of one of two", max(run.peak for run in runs[2]) / 1e6, "MB"),
        ],
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scaling")
    parser.add_argument("--messages", type=int, default=4_000_000, help="[4000000]")
    parser.add_argument("--rounds", type=int, default=2, help="[2]")
    return parser.parse_args(sys.argv[1:])


def _run(server: Broker, topic: Topic, folder: Path, count: int) -> Run:
    root = folder / "lake"
    shutil.rmtree(root, ignore_errors=True)
    command = python("-m", "lakeward", "write", "--until-current", "--log-format", "json")
    environment = {
        **server.environment,
        "LAKEWARD_CONTRACTS_DIR": str(folder / "contracts"),
        "LAKEWARD_LAKE_ROOT": str(root),
        "LAKEWARD_ASSIGNMENT": "group",
        "LAKEWARD_WRITER_NAME": f"scaling-{uuid.uuid4().hex}",
    }
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                Watched(
                    [*command, "--contracts", topic.contract],
                    folder / f"writer-{number}.log",
                    environment=environment,
                )
            )
            for number in range(count)
        ]
        for child in children:
            child.wait(TIMEOUT_S)
    report = audit(Lake(str(root)))
    assert report.is_clean, report.findings
    assert report.rows == topic.messages, report.rows
    commits = landed(root, topic.contract)
    first, last = (
        next(c for c in commits if c.messages >= share * topic.messages) for share in WINDOW
    )
    messages = last.messages - first.messages
    used = [child.cpu_between(first.at, last.at) for child in children]
    shares = tuple(cpu / sum(used) for cpu in used)
    assert min(shares) >= FEWEST_SHARE, f"one process did nearly all: {shares}; more messages?"
    return Run(
        rate=messages / (last.at - first.at),
        cpu=sum(used) / messages,
        shares=shares,
        peak=max(child.peak for child in children),
    )


if __name__ == "__main__":
    main()
