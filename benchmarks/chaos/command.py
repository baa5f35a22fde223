"""The command line: the campaigns one after the other on one cluster, then the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chaos.campaign import Campaign, Kept, Options, Result
from benchmarks.chaos.faults import KINDS
from benchmarks.chaos.table import figures, table
from benchmarks.report import publish
from tests.kafka_servers.cluster import ApacheCluster

S3_SHARE = 0.6
GIB = 2**30
MEMORY_FOR_THREE = 6 * GIB
"""Three brokers, a store, four writers."""


def run() -> None:
    """Break, mend, judge, print, and exit with 1 unless everything is there exactly once."""
    asked = _parse()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="lakeward-chaos-") as scratch:
        folder = Path(asked.keep or scratch)
        size = asked.brokers or (3 if _memory() >= MEMORY_FOR_THREE else 1)
        say(f"starting {size} broker(s), seed {asked.seed}")
        results: list[Result] = []
        with ApacheCluster(folder / "kafka", size) as cluster:
            left = asked.faults
            for kept, count in _shares(asked.lake, asked.faults).items():
                say(f"{count} faults, the lake on {kept}")
                minutes = (asked.minutes - (time.monotonic() - began) / 60) * count / left
                left -= count
                options = Options(
                    kept, count, asked.seed, asked.pause, tuple(asked.only or ()), minutes
                )
                campaign = Campaign(options, cluster, folder / kept, say)
                results.append(campaign.run())
                say(f"{kept}: {results[-1].verdict}")
                print(table(results[-1:]), flush=True)
    if len(results) > 1:
        print(table(results))
    publish("chaos", figures(results, brokers=size))
    if not all(result.is_exactly_once for result in results):
        sys.exit(1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=500, help="how many [500]")
    parser.add_argument("--seed", type=int, default=1, help="decides which, when, for how long [1]")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between two [1.5]")
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="make no more faults after so long [no limit]",
    )
    parser.add_argument("--lake", choices=["s3", "disk", "both"], default="both")
    parser.add_argument("--brokers", type=int, choices=[1, 3], help="[3 where memory allows]")
    parser.add_argument(
        "--only", action="append", choices=[kind.name for kind in KINDS], help="these kinds [all]"
    )
    parser.add_argument("--keep", help="keep logs and lake in this new folder")
    return parser.parse_args(sys.argv[1:])


def _shares(lake: str, faults: int) -> dict[Kept, int]:
    if lake == "s3":
        return {"s3": faults}
    if lake == "disk":
        return {"disk": faults}
    on_s3 = round(faults * S3_SHARE)
    return {"s3": on_s3, "disk": faults - on_s3}


def _memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines() if sys.platform == "linux" else []
    found: Sequence[str] = [line for line in lines if line.startswith("MemAvailable:")]
    return int(found[0].split()[1]) * 1024 if found else 0
