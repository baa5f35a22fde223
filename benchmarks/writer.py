"""How many messages a second go from Kafka to a committed Delta table, exactly once.

The writer runs as ``lakeward write --until-current`` in a process of its own, on topics that the
broker has in memory. Speed is taken from the table: the messages between two commits, over the time
between the two log files, in the middle of the run. The rounds take turns, so that what else runs
on the machine touches all of them: a consumer that does nothing (the ceiling), the writer on clean
messages, on 1 % broken and 5 % rescued ones, on messages of 1,024 bytes. The median counts. Unless
the audit finds each message exactly once there is no figure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, publish
from benchmarks.rig.clickstream import enlarged, is_whole, stream, with_faults
from benchmarks.rig.consume import EAGER, Consumed, consumed
from benchmarks.rig.drain import Drained, drain
from benchmarks.rig.limits import limits
from benchmarks.rig.progress import say
from benchmarks.rig.servers import BROKERS, broker
from benchmarks.rig.topic import fill

MB = 1e6
BROKEN_SEED = 2


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    raw: list[Consumed] = []
    eager: list[Consumed] = []
    done: dict[str, list[Drained]] = {"clean": [], "faulty": [], "large": []}
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        contracts = folder / "contracts"
        with broker(asked.broker, folder) as server:
            say(f"{server.name} is up; filling the topics")
            topics = {"clean": fill(server, contracts, "clean", asked.messages)}
            dead = {"clean": 0, "large": 0, "faulty": 0}
            if not asked.only_clean:
                faulty = asked.messages * 2 // 3
                topics["faulty"] = fill(
                    server, contracts, "faulty", faulty, change=with_faults, seed=BROKEN_SEED
                )
                topics["large"] = fill(
                    server, contracts, "large", asked.messages // 3, change=enlarged
                )
                found = stream(faulty, BROKEN_SEED, with_faults)
                dead["faulty"] = sum(not is_whole(value) for value in found)
            for name, topic in topics.items():
                say(f"{name}: {topic.messages:,} messages of {topic.mean_size:,.0f} bytes")
            for round_ in range(1, asked.rounds + 1):
                raw.append(consumed(server, topics["clean"], folder))
                eager.append(consumed(server, topics["clean"], folder, EAGER))
                say(
                    f"round {round_}: raw consume {raw[-1].rate:,.0f}/s, without pauses between "
                    f"fetches {eager[-1].rate:,.0f}/s"
                )
                for name, topic in topics.items():
                    one = drain(server, topic, contracts, folder, dead=dead[name])
                    done[name].append(one)
                    say(
                        f"round {round_}: {name} {one.rate:,.0f}/s over {one.seconds:.1f} s, "
                        f"CPU {one.cpu * 1e6:.2f} us a message, {one.commits} commits, "
                        f"peak {one.peak / MB:,.0f} MB, audit clean"
                    )
            sizes = {name: topic.mean_size for name, topic in topics.items()}
        floors = [] if asked.only_clean else limits(done["clean"][-1].lake, "clean", folder)
    publish("writer", [*_figures(raw, eager, done, sizes), *floors])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks writer")
    parser.add_argument("--messages", type=int, default=3_000_000, help="clean ones [3000000]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument("--broker", choices=BROKERS, default="apache", help="[apache]")
    parser.add_argument("--only-clean", action="store_true", help="clean messages, raw consume")
    return parser.parse_args(sys.argv[1:])


def _figures(
    raw: Sequence[Consumed],
    eager: Sequence[Consumed],
    done: dict[str, list[Drained]],
    sizes: dict[str, float],
) -> list[Figure]:
    clean = done["clean"]
    slow, quick = median(one.rate for one in raw), median(one.rate for one in eager)
    rate = median(one.rate for one in clean)
    cpu = median(one.cpu for one in clean)
    broker_cpu = median(one.broker_cpu for one in clean)
    unit, us = "messages/s", "us"
    figures = [
        Figure("message size", sizes["clean"], "bytes"),
        Figure("Kafka to committed Delta, one process", rate, unit, 220_000),
        Figure("the same, best round", max(one.rate for one in clean), unit),
        Figure("the same, process start to end", median(one.whole_rate for one in clean), unit),
        Figure("CPU time a message, all threads", 1e6 * cpu, us),
        Figure("CPU time a message, the broker", 1e6 * broker_cpu, us),
        Figure("raw Consumer.consume, librdkafka's defaults", slow, unit),
        Figure("raw Consumer.consume, no pauses between fetches", quick, unit),
        Figure("CPU time a message, raw Consumer.consume", 1e6 * median(o.cpu for o in raw), us),
        Figure("share of the raw rate, librdkafka's defaults", 100 * rate / slow, "%", 30),
        Figure("share of the raw rate, no pauses between fetches", 100 * rate / quick, "%", 30),
        Figure(
            "peak RSS at full speed",
            max(one.peak for one in clean) / MB,
            "MB",
            512,
            higher_is_better=False,
        ),
    ]
    if faulty := done["faulty"]:
        pairs = [100 * b.rate / a.rate for a, b in zip(clean, faulty, strict=True)]
        costs = [100 * a.cpu / b.cpu for a, b in zip(clean, faulty, strict=True)]
        figures += [
            Figure("1 % broken and 5 % rescued, against clean", median(pairs), "%", 70),
            Figure("the same by CPU time", median(costs), "%"),
            Figure("the same, peak RSS", max(one.peak for one in faulty) / MB, "MB"),
        ]
    if large := done["large"]:
        speed = median(one.rate for one in large) * sizes["large"] / MB
        figures += [
            Figure(f"messages of {sizes['large']:,.0f} bytes", speed, "MB/s", 120),
            Figure("the same, CPU time a message", 1e6 * median(o.cpu for o in large), us),
            Figure("the same, peak RSS", max(one.peak for one in large) / MB, "MB"),
        ]
    return figures


if __name__ == "__main__":
    main()
