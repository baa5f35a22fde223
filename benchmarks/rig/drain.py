"""Draining a topic into a lake with ``lakeward write``, in a process of its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig.servers import Broker
from benchmarks.rig.topic import Topic
from benchmarks.rig.watched import Watched, python
from lake.audit import audit
from lake.delta_log import read_commit_infos
from lake.tables import Lake
from lake.writer.commit import METADATA_KEY

MIDDLE = (0.15, 0.85)
"""The share of the messages between which speed is measured: at the start the writer warms up, at
the end polling is over and commits have the machine to themselves."""

FEWEST_COMMITS = 5
"""With fewer there is no middle, and the whole run counts."""

TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the bronze table."""

    at: float
    """When its log file was written, seconds since the epoch."""
    messages: int
    """Messages settled by it and all before it."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What one run of the writer did; its lake was audited."""

    rate: float
    """Messages a second in the middle of the run."""
    seconds: float
    """Of the middle."""
    cpu: float
    """CPU seconds a message in the middle, all threads."""
    broker_cpu: float
    """The broker's."""
    whole_rate: float
    """Messages a second from the start of the process to its end."""
    peak: int
    """Resident bytes, the most."""
    commits: int
    lake: Lake


def drain(broker: Broker, topic: Topic, contracts: Path, folder: Path, *, dead: int = 0) -> Drained:
    """Drain ``topic`` into a new lake in ``folder`` and audit it.

    Args:
        broker: where the topic is.
        topic: what to drain.
        contracts: LAKEWARD_CONTRACTS_DIR.
        folder: for the log and the lake, which takes the place of the one drained before.
        dead: how many dead letters there must be.

    Raises:
        AssertionError: a message is not in the lake exactly once; there is no figure then.
    """
    root = folder / f"lake-{topic.contract}"
    shutil.rmtree(root, ignore_errors=True)
    command = python("-m", "lakeward", "write", "--until-current", "--log-format", "json")
    environment = {
        **broker.environment,
        "LAKEWARD_CONTRACTS_DIR": str(contracts),
        "LAKEWARD_LAKE_ROOT": str(root),
    }
    with Watched(
        [*command, "--contracts", topic.contract],
        folder / "writer.log",
        environment=environment,
        also=[broker.pid],
    ) as child:
        child.wait(TIMEOUT_S)
    lake = Lake(str(root))
    report = audit(lake)
    assert report.is_clean, report.findings
    assert (report.rows, report.dead) == (topic.messages - dead, dead), (report.rows, report.dead)
    commits = landed(root, topic.contract)
    first, last = middle(commits)
    begin = first.at if first.messages else child.samples[0].at
    messages = last.messages - first.messages
    return Drained(
        rate=messages / (last.at - begin),
        seconds=last.at - begin,
        cpu=child.cpu_between(begin, last.at) / messages,
        broker_cpu=child.cpu_between(begin, last.at, broker.pid) / messages,
        whole_rate=topic.messages / (child.samples[-1].at - child.samples[0].at),
        peak=child.peak,
        commits=len(commits),
        lake=lake,
    )


def landed(root: Path, table: str) -> list[Commit]:
    """Return the commits that brought messages to a bronze table, oldest first."""
    opened = Lake(str(root)).open("bronze", table)
    log = root / "bronze" / table / "_delta_log"
    found: list[Commit] = []
    total = 0
    for version, info in read_commit_infos(opened, -1, None):
        record = json.loads(info.get(METADATA_KEY, "{}"))
        messages = sum(part["messages"] for part in record.get("partitions", []))
        if messages:
            total += messages
            found.append(Commit((log / f"{version:020d}.json").stat().st_mtime, total))
    return found


def middle(commits: list[Commit]) -> tuple[Commit, Commit]:
    """Return the commits between which to measure."""
    total = commits[-1].messages
    if len(commits) < FEWEST_COMMITS:
        return Commit(0, 0), commits[-1]
    first = next(c for c in commits if c.messages >= MIDDLE[0] * total)
    last = next(c for c in commits if c.messages >= MIDDLE[1] * total)
    return first, last
