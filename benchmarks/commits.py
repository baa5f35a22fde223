"""Whether commits stay quick and memory flat, as the log of a table grows.

One process commits a few rows at a time through ``lake.writer.commit``, as the writer does with a
flush a second; after every 600 commits, so every ten minutes of such a writer, another process's
part is done as Dagster does it: small files are merged, a checkpoint is written and the log is
shortened. What a commit takes is told as the mean over the first and the last hundred, which holds
five checkpoints each, and as the median. The figures name how many commits were made; fewer than
100,000 are held against no bar for 100,000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

from benchmarks.report import Figure, publish
from benchmarks.rig.commit_run import PARTITIONS, ROWS, hurry
from benchmarks.rig.progress import say
from benchmarks.rig.watched import ROOT, python
from ingest.child_process import dies_with_parent
from lake.maintenance.run import Options, Step, maintain
from lake.settings import LakeSettings
from lake.tables import Lake, read_rows
from lake.writer.target import LOG_PROPERTIES

FULL = 100_000
WINDOW = 100
"""Commits that a mean is taken over."""

COMPACT_EVERY = 600
COMPACT_STEPS: frozenset[Step] = frozenset({"compact", "fold", "checkpoint", "clean"})
"""Those of Dagster's job."""

RSS_FROM, RSS_TO = 100, 10_000
FLAT = 1.1
"""Memory is called flat when it grew by less than a tenth."""


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    walls: list[float] = []
    cpus: list[float] = []
    rss: dict[int, int] = {}
    hurry(LOG_PROPERTIES)
    over_at = time.monotonic() + 60 * asked.minutes
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        lake = Lake(str(Path(scratch) / "lake"))
        command = python("-m", "benchmarks.rig.commit_run", lake.root, str(asked.commits))
        with subprocess.Popen(
            dies_with_parent([*command, str(WINDOW)]),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for line in child.stdout:
                told = json.loads(line)
                walls += told["walls"]
                cpus += told["cpus"]
                rss[len(walls)] = told["rss"]
                if len(walls) % COMPACT_EVERY == 0:
                    _compact(lake)
                if len(walls) % asked.tell == 0:
                    took, memory = 1e3 * fmean(walls[-WINDOW:]), told["rss"] / 1e6
                    cpu = 1e3 * fmean(cpus[-WINDOW:])
                    say(
                        f"{len(walls):,} commits; the last {WINDOW} took {took:.1f} ms each, "
                        f"{cpu:.1f} ms of CPU time, RSS {memory:,.0f} MB"
                    )
                if len(walls) < asked.commits and time.monotonic() < over_at:
                    child.stdin.write("\n")
                    child.stdin.flush()
                else:
                    child.stdin.close()
        assert child.returncode == 0, "the committing process failed; what it said stands above"
        _check(lake, len(walls))
    publish("commits", _figures(walls, cpus, rss))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks commits")
    parser.add_argument("--commits", type=int, default=12_000, help="[12000]; the bar is at 100000")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="fewer commits after so long [no limit]"
    )
    parser.add_argument("--tell", type=int, default=2_000, help="a line after so many [2000]")
    return parser.parse_args(sys.argv[1:])


def _compact(lake: Lake) -> None:
    settings = LakeSettings(_env_file=None, lake_root=lake.root)
    options = replace(Options.of(settings), steps=COMPACT_STEPS)
    for done in maintain(lake, options):
        assert done.error is None, done


def _check(lake: Lake, commits: int) -> None:
    """Every offset must be in the table once."""
    rows = read_rows(lake.open("bronze", "clickstream"), ["_partition", "_offset"])
    places = set(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))
    wanted = {(p, n) for p in range(PARTITIONS) for n in range(commits * ROWS)}
    assert len(rows) == len(wanted), (len(rows), len(wanted))
    assert places == wanted, "the table does not hold what was committed"
    say(f"{len(rows):,} rows, each offset once")


def _figures(walls: Sequence[float], cpus: Sequence[float], rss: dict[int, int]) -> list[Figure]:
    count = len(walls)
    name = f"after {count:,} commits against the first {WINDOW}"
    bar = 1.5 if count >= FULL else None
    first, last = walls[:WINDOW], walls[-WINDOW:]
    figures = [
        Figure(f"a commit, mean of the first {WINDOW}", 1e3 * fmean(first), "ms"),
        Figure(f"a commit, mean of the last {WINDOW} of {count:,}", 1e3 * fmean(last), "ms"),
        Figure(f"commit time {name}", fmean(last) / fmean(first), "x", bar, higher_is_better=False),
        Figure(f"the same, medians: {name}", median(last) / median(first), "x"),
        Figure(f"the same, CPU time: {name}", fmean(cpus[-WINDOW:]) / fmean(cpus[:WINDOW]), "x"),
        Figure(f"commit time, mean of all {count:,}", 1e3 * fmean(walls), "ms"),
        Figure(f"CPU time of a commit, mean of all {count:,}", 1e3 * fmean(cpus), "ms"),
    ]
    for at in sorted({at for at in rss if at in (RSS_FROM, RSS_TO, count)}):
        figures.append(Figure(f"RSS after {at:,} commits", rss[at] / 1e6, "MB"))
    if RSS_TO in rss:
        grown = rss[RSS_TO] / rss[RSS_FROM]
        text = f"RSS after {RSS_TO:,} commits against after {RSS_FROM}"
        figures.append(Figure(text, grown, "x", FLAT, higher_is_better=False))
    return figures


if __name__ == "__main__":
    main()
