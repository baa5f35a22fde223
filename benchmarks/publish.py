"""What ``lakeward publish`` costs: a first publication, and increments of a few changed rows.

A table like ``fct_campaign_1m`` is published to a new topic, in turns with the usual producer loop
on the same rows. Then a tenant's day is written anew again and again, as a build writes it, with a
few rows changed, and published. The same is done to a table with a tenth of the rows: an increment
must cost what changed, not what the table holds. Last, the table is compared with the topic itself,
as it is when the log cannot tell. Counts of what was sent are checked in every run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import report
from benchmarks.report import Figure
from benchmarks.rig.campaign_table import IN_A_BUCKET, CampaignTable
from benchmarks.rig.plain_producer import produce_plainly
from benchmarks.rig.progress import say
from benchmarks.rig.servers import BROKERS, Broker, broker
from benchmarks.rig.timed import Took, timed
from ingest.kafka import ensure_compacted_topic
from lake.tables import Lake
from serving.publish.run import Options, Published, publish
from serving.publish.target import Target

INCREMENTS: Final = 5
BAR_GROWTH: Final = 1.5


@dataclass
class Publisher:
    """Publishes one table to topics of one broker."""

    server: Broker
    table: CampaignTable

    def __call__(self, topic: str, *, is_full: bool = False) -> tuple[Published, Took]:
        """Publish once."""
        options = Options(f"{topic}.at", is_full=is_full)
        target = Target(self.table.mart, topic)
        return timed(lambda: publish(self.server.settings, self.table.lake, target, options))

    def plainly(self, topic: str) -> Took:
        """Send all rows in the usual way to a new topic."""
        settings = self.server.settings
        ensure_compacted_topic(settings, topic, settings.topic_partitions)
        count, took = timed(
            lambda: produce_plainly(settings, self.table.lake, self.table.mart, topic)
        )
        assert count == self.table.rows
        return took

    def increments(self, topic: str, changed: int) -> list[Took]:
        """Change and publish, some times; the first one is not told."""
        found = []
        for _ in range(1 + INCREMENTS):
            self.table.change(changed)
            done, took = self(topic)
            assert (done.basis, done.upserts, done.tombstones) == ("versions", changed, 0), done
            found.append(took)
        return found[1:]


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        buckets = max(10, asked.rows // IN_A_BUCKET)
        with broker(asked.broker, folder) as server:
            big = Publisher(server, _table(folder / "big", buckets))
            small = Publisher(server, _table(folder / "small", buckets // 10))
            rows = big.table.rows
            say(f"{server.name}; tables of {rows:,} and {small.table.rows:,} rows")
            ours, theirs = [], []
            for round_ in range(1, asked.rounds + 1):
                done, took = big(f"results-{round_}")
                assert (done.upserts, done.tombstones) == (rows, 0), done
                ours.append(took)
                theirs.append(big.plainly(f"plain-{round_}"))
                say(f"round {round_}: {rows / took.wall:,.0f} and {rows / theirs[-1].wall:,.0f}/s")
            topic = f"results-{asked.rounds}"
            nothing = [big(topic)[1] for _ in range(INCREMENTS)]
            of_big = big.increments(topic, asked.changed)
            say(f"increments on {rows:,}: {_wall(of_big):.2f} s")
            small("small")
            of_small = small.increments("small", asked.changed)
            say(f"increments on {small.table.rows:,}: {_wall(of_small):.2f} s")
            done, full = big(topic, is_full=True)
            assert (done.basis, done.messages) == ("topic", 0), done
    what = f"{asked.changed:,} changed rows"
    report.publish(
        "publish",
        [
            Figure(f"first publication of {rows:,} rows", rows / _wall(ours), "rows/s"),
            Figure("the same, CPU time a row", 1e6 * _cpu(ours) / rows, "us"),
            Figure("plain producer, the same rows", rows / _wall(theirs), "rows/s"),
            Figure("the same, CPU time a row", 1e6 * _cpu(theirs) / rows, "us"),
            Figure("lakeward against the plain producer", _wall(theirs) / _wall(ours), "x", 1.0),
            Figure("the same by CPU time", _cpu(theirs) / _cpu(ours), "x"),
            Figure(f"{what} of {rows:,}", _wall(of_big), "s"),
            Figure("the same, CPU time", _cpu(of_big), "s"),
            Figure(f"{what} of {small.table.rows:,}", _wall(of_small), "s"),
            Figure("the same, CPU time", _cpu(of_small), "s"),
            Figure(
                "ten times the table, by CPU time",
                _cpu(of_big) / _cpu(of_small),
                "x",
                BAR_GROWTH,
                higher_is_better=False,
            ),
            Figure(
                "the plain producer, which sends all of it again, against an increment",
                _wall(theirs) / _wall(of_big),
                "x",
            ),
            Figure("nothing changed", _wall(nothing), "s"),
            Figure(f"{rows:,} rows compared with the topic", rows / full.wall, "rows/s"),
            Figure("the same, CPU time a row", 1e6 * full.cpu / rows, "us"),
        ],
    )


def _table(folder: Path, buckets: int) -> CampaignTable:
    table = CampaignTable(Lake(str(folder / "lake")), buckets)
    table.write()
    return table


def _of(part: Callable[[Took], float]) -> Callable[[list[Took]], float]:
    return lambda found: median(part(one) for one in found)


_wall = _of(lambda took: took.wall)
_cpu = _of(lambda took: took.cpu)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks publish")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the larger table [1000000]")
    parser.add_argument("--changed", type=int, default=100, help="rows of an increment [100]")
    parser.add_argument("--rounds", type=int, default=3, help="of first publications [3]")
    parser.add_argument("--broker", choices=BROKERS, default="apache", help="[apache]")
    return parser.parse_args(sys.argv[1:])
