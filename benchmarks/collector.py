"""How many events a second the collector takes durably, how soon, and in how much memory.

``lakeward collect`` runs in a process of its own before Apache Kafka, and the load generator in
another; all of them share the machine. Single events are held against an endpoint of the same
server that only reads the body. At half of the top rate requests are sent at their turn, so that a
late answer counts. The way to bronze is the time between ``received_at`` and the moment a reader
has the row's version, by the same clock. Overload is four times the connections that reach the top
rate.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.latency import Reader, latencies_of
from benchmarks.report import Figure, publish
from benchmarks.rig.http_load import Answers, Load
from benchmarks.rig.progress import say
from benchmarks.rig.servers import Broker, broker
from benchmarks.rig.watched import EVERY_S, Watched, python
from ingest.tenants.access import open_registry
from ingest.tenants.model import Quota
from lake.tables import Lake, read_rows
from tests.ports import free_ports

TIMEOUT_S = 90.0
BRONZE_RATE = 2_000
MANY = 128
"""Connections with one event a request: enough that the server is busy while Kafka answers."""
MB = 1e6


def main() -> None:
    """Measure and publish."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="lakeward-bench-") as scratch:
        folder = Path(scratch)
        with broker("apache", folder) as server:
            hot, calm = _key(server, "hot"), _key(server, "calm")
            figures = _speed(server, folder, hot, asked)
            figures += _fairness(server, folder, hot, calm, asked)
            figures += _to_bronze(server, folder, hot, asked)
            figures += _overload(server, folder, hot, asked)
    publish("collector", figures)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks collector")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement [20]")
    parser.add_argument("--overload", type=float, default=600.0, help="seconds of overload [600]")
    return parser.parse_args(sys.argv[1:])


def _speed(server: Broker, folder: Path, key: str, asked: argparse.Namespace) -> list[Figure]:
    with _collector(server, folder) as (collector, port):
        _load(folder, Load(port, key, seconds=3.0, prefix="warm"))
        batches, cpu, sending = _watched_load(
            collector, folder, Load(port, key, seconds=asked.seconds, prefix="bat")
        )
        top = batches.rate
        if not top:
            raise RuntimeError(f"nothing was accepted: {batches.statuses}")
        say(f"batches of 100: {top:,.0f} events/s, {batches.statuses}")
        half = _load(
            folder,
            Load(port, key, seconds=asked.seconds, rate=top / 200, connections=64, prefix="hlf"),
        )
        say(f"at half of it: p99 {1e3 * half.p99:.0f} ms, {half.statuses}")
        single, single_cpu, _ = _watched_load(
            collector, folder, Load(port, key, batch=0, connections=MANY, seconds=asked.seconds)
        )
        say(f"single events: {single.rate:,.0f}/s, {single.statuses}")
        peak = collector.peak
    noop, noop_cpu = _noop(folder, asked)
    say(f"no-op: {noop.rate:,.0f} requests/s")
    share = 100 * single.rate / noop.rate
    return [
        Figure("accepted durably, batches of 100, one worker", top, "events/s", 25_000),
        Figure(
            "the same, CPU time an event, all threads of the collector", 1e6 * cpu, "us", 35, False
        ),
        Figure("the same, load generator, of one core", 100 * sending, "%"),
        Figure("the same, p99 of a batch", 1e3 * batches.p99, "ms"),
        Figure("single-event requests", single.rate, "requests/s"),
        Figure("no-op endpoint of the same server", noop.rate, "requests/s"),
        Figure("single-event requests against it", share, "%", 50),
        Figure("single-event request, CPU time", 1e6 * single_cpu, "us"),
        Figure("no-op request, CPU time", 1e6 * noop_cpu, "us"),
        Figure("single-event request against it, CPU time", single_cpu / noop_cpu, "x", 1.8, False),
        Figure("p99 at half of the top rate", 1e3 * half.p99, "ms", 100, higher_is_better=False),
        Figure("the same, p50", 1e3 * half.p50, "ms"),
        Figure("peak RSS", peak / MB, "MB"),
    ]


def _fairness(
    server: Broker, folder: Path, hot: str, calm: str, asked: argparse.Namespace
) -> list[Figure]:
    """A calm tenant beside a hot one that sends all it can."""
    with _collector(server, folder) as (_, port):
        calm_load = Load(
            port, calm, batch=0, rate=50, connections=8, seconds=asked.seconds, prefix="clm"
        )
        hot_load = Load(port, hot, connections=64, seconds=asked.seconds + 4, prefix="hot")
        with _loading(folder, hot_load) as busy:
            time.sleep(2.0)
            beside = _load(folder, calm_load)
            told = Answers(**json.loads(busy.wait(10 * asked.seconds + TIMEOUT_S)))
    say(f"calm beside hot: p99 {1e3 * beside.p99:.0f} ms, {beside.statuses}; hot {told.statuses}")
    taken = 100 * beside.statuses.get("200", 0) / max(1, beside.requests)
    return [
        Figure("a calm tenant beside a hot one: taken", taken, "%", 100),
        Figure("the same, p99", 1e3 * beside.p99, "ms"),
    ]


def _to_bronze(server: Broker, folder: Path, key: str, asked: argparse.Namespace) -> list[Figure]:
    lake = Lake(str(folder / "lake"))
    environment = {**server.environment, "LAKEWARD_LAKE_ROOT": lake.root}
    write = python("-m", "lakeward", "write", "--log-format", "json", "--contracts", "clickstream")
    reader = Reader(lake.uri("bronze", "clickstream"))
    with (
        _collector(server, folder) as (_, port),
        Watched(write, folder / "writer.log", environment=environment) as writer,
    ):
        _wait_for(folder / "writer.log", "partition_begins")
        _wait_until_current(port, folder, key, lake)
        began = time.time()
        paced = Load(
            port, key, batch=10, rate=BRONZE_RATE / 10, seconds=asked.seconds, prefix="brz"
        )
        told = _load(folder, paced)
        time.sleep(5.0)
        writer.process.terminate()
        writer.wait(TIMEOUT_S)
    reader.end()
    latencies = latencies_of(lake, "clickstream", reader.seen, began, since="received_at")
    say(f"{len(latencies):,} events on their way to bronze, {told.events:,} acknowledged")
    assert len(latencies) == told.events, "each acknowledged event has its row"
    p50, p95 = (float(np.percentile(latencies, share)) for share in (50, 95))
    return [
        Figure("received to queryable in bronze at 2,000 events/s, p50", p50, "s", 1.5, False),
        Figure("the same, p95", p95, "s", 3.0, False),
    ]


def _wait_until_current(port: int, folder: Path, key: str, lake: Lake) -> None:
    """Return when the writer has what the measurements before left in Kafka."""
    sent = time.time()
    _load(folder, Load(port, key, batch=1, connections=1, seconds=0.1, prefix="cur"))
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(1.0)
        if lake.exists("bronze", "clickstream"):
            newest = read_rows(lake.open("bronze", "clickstream"), ["received_at"])["received_at"]
            if len(newest) and max(newest.cast("int64").to_numpy()) / 1e6 >= sent:
                return
    raise RuntimeError("the writer does not get to the end of the topic")


def _overload(server: Broker, folder: Path, key: str, asked: argparse.Namespace) -> list[Figure]:
    with _collector(server, folder) as (collector, port):
        _load(folder, Load(port, key, connections=64, seconds=min(10.0, asked.overload)))
        early = collector.samples[-1].rss
        told = _load(folder, Load(port, key, connections=64, seconds=asked.overload, prefix="ovr"))
        peak, late = collector.peak, collector.samples[-1].rss
    say(f"overload: {told.statuses}")
    minutes = f"{asked.overload / 60:.3g} minutes"
    return [
        Figure(f"peak RSS in {minutes} of overload", peak / MB, "MB", 300, False),
        Figure("RSS at the end against after 10 s", late / early, "x"),
    ]


def _noop(folder: Path, asked: argparse.Namespace) -> tuple[Answers, float]:
    """Return what came back, and the CPU seconds of a request."""
    (port,) = free_ports(1)
    command = python("-m", "benchmarks.rig.noop_server", str(port))
    with Watched(command, folder / "noop.log") as server:
        time.sleep(3.0)
        load = Load(port, "none", batch=0, connections=MANY, seconds=asked.seconds)
        told, cpu, _ = _watched_load(server, folder, load)
        return told, cpu


@contextmanager
def _collector(server: Broker, folder: Path) -> Iterator[tuple[Watched, int]]:
    log = folder / f"collector-{time.monotonic_ns()}.log"
    environment = {**server.environment, "LAKEWARD_COLLECTOR_ADDRESS": "127.0.0.1:0"}
    command = python("-m", "lakeward", "collect", "--create-topics", "--log-format", "json")
    with Watched(command, log, environment=environment) as collector:
        found = re.search(r'"url": "http://127.0.0.1:(\d+)"', _wait_for(log, "collector_listens"))
        assert found is not None
        yield collector, int(found[1])
        collector.process.terminate()
        collector.wait(TIMEOUT_S)


def _wait_for(log: Path, words: str) -> str:
    deadline = time.monotonic() + TIMEOUT_S
    while words not in (text := log.read_text()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it does not start:\n{text}")
        time.sleep(0.1)
    return text


def _watched_load(server: Watched, folder: Path, load: Load) -> tuple[Answers, float, float]:
    """Return what came back, the server's CPU seconds an event, and the generator's of a core."""
    began = time.time()
    with _loading(folder, load) as running:
        told = Answers(**json.loads(running.wait(10 * load.seconds + TIMEOUT_S)))
    ended = time.time()
    time.sleep(2 * EVERY_S)
    spent = server.cpu_between(began, ended)
    return told, spent / max(1, told.events), running.cpu_between(began, ended) / load.seconds


def _load(folder: Path, load: Load) -> Answers:
    with _loading(folder, load) as running:
        return Answers(**json.loads(running.wait(10 * load.seconds + TIMEOUT_S)))


def _loading(folder: Path, load: Load) -> Watched:
    command = python("-m", "benchmarks.rig.http_load", json.dumps(asdict(load)))
    return Watched(command, folder / "load.log")


def _key(server: Broker, tenant_id: str) -> str:
    registry = open_registry(server.settings)
    registry.create(
        tenant_id, who="benchmark", quota=Quota(requests_per_second=1e6, burst=1_000_000)
    )
    return registry.add_key(tenant_id, who="benchmark").secret


if __name__ == "__main__":
    main()
