"""A producer that fails for good is replaced, and costs no event that was acknowledged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from ingest.collector import kafka_sender
from ingest.collector.kafka_sender import RENEW_SECONDS, KafkaSender
from ingest.collector.outbox import Outbox
from ingest.collector.readiness import Readiness
from ingest.collector.record import Record
from ingest.collector.spill import Spill
from ingest.kafka import client_config
from tests.kafka_servers.fatal_error import fail_for_good
from tests.kafka_servers.topics import KafkaForTest


@asynccontextmanager
async def running(
    kafka: KafkaForTest, folder: Path, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[tuple[KafkaSender, Outbox, Readiness]]:
    sender = KafkaSender(kafka.settings, delivery_timeout_s=20, clock=clock)
    spill = Spill(folder, 10**7)
    outbox = Outbox(sender, spill, retry_seconds=0.05)
    sender.start()
    outbox.start()
    try:
        yield sender, outbox, Readiness(outbox, spill, sender, _Nobody())
    finally:
        await outbox.close()
        assert sender.close() == 0


class _Nobody:
    """A registry without tenants, just read."""

    age_seconds = 0.0
    is_too_old = False

    def authenticate(self, _secret: str) -> None:
        return None


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


def assert_on(kafka: KafkaForTest, topic: str, wanted: set[bytes]) -> None:
    """Some may be there twice: what was on its way when the producer failed."""
    consumer = Consumer(
        {
            **client_config(kafka.settings),
            "group.id": kafka.unique("reader"),
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    missing, deadline = set(wanted), time.monotonic() + 120
    while missing and time.monotonic() < deadline:
        missing -= {message.value() or b"" for message in consumer.consume(1_000, timeout=0.5)}
    consumer.close()
    assert missing == set()


def test_a_failure_of_the_producer_loses_nothing_and_another_takes_over(
    kafka: KafkaForTest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    is_queued = kafka.kind == "embedded"
    if is_queued:  # then all is still in librdkafka's queue; on Apache Kafka some is on its way
        monkeypatch.setitem(kafka_sender._TUNING, "linger.ms", 1_000)
    topic = kafka.unique("fatal")
    kafka.create_topic(topic)
    places: list[str] = []
    failures: list[str | None] = []

    async def put(outbox: Outbox, name: str) -> None:
        batch = [Record(topic, b"k", f"{name}-{n}".encode(), []) for n in range(50)]
        places.append(await outbox.put(batch))

    async def scenario() -> None:
        async with running(kafka, tmp_path / "spill") as (sender, outbox, readiness):
            sender.on_producer_failed = lambda: failures.append(sender.failure)
            await put(outbox, "before")
            under_way = [asyncio.create_task(put(outbox, f"under-way-{n}")) for n in range(20)]
            await asyncio.sleep(0)  # they are in librdkafka's hands, and not answered yet
            fail_for_good(sender._producer)
            async with asyncio.timeout(120):
                await asyncio.gather(*under_way)
            assert readiness.told()["is_ready"]
            await until(lambda: not outbox.is_spilling)
            assert readiness.told()["producer"] == "ok"
            await put(outbox, "after")

    asyncio.run(scenario())
    assert failures == ["OUT_OF_ORDER_SEQUENCE_NUMBER"]
    assert (places[0], places[-1]) == ("kafka", "kafka")
    assert places[1:-1] == ["spill"] * 20 or not is_queued
    wanted = {
        f"{name}-{n}".encode()
        for name in ("before", *(f"under-way-{m}" for m in range(20)), "after")
        for n in range(50)
    }
    assert_on(kafka, topic, wanted)
    told = [record.message for record in caplog.records]
    assert told.count("kafka_producer_failed") == told.count("kafka_producer_renewed") == 1


def test_producers_that_fail_again_and_again_are_not_made_again_and_again(
    embedded_kafka: KafkaForTest, tmp_path: Path
) -> None:
    """Meanwhile events wait on the disk, and readyz says why."""
    topic = embedded_kafka.unique("fatal-again")
    embedded_kafka.create_topic(topic)
    now, sent = 0.0, list[bytes]()

    async def scenario() -> None:
        nonlocal now
        async with running(embedded_kafka, tmp_path / "spill", lambda: now) as (
            sender,
            outbox,
            readiness,
        ):
            for pause in (RENEW_SECONDS, 2 * RENEW_SECONDS):
                fail_for_good(sender._producer)
                await until(lambda: sender.failure is not None)
                now += pause - 0.1
                sent.append(str(now).encode())
                assert await outbox.put([Record(topic, b"k", sent[-1], [])]) == "spill"
                await asyncio.sleep(0.2)
                told = readiness.told()
                assert (told["producer"], told["kafka"]) == ("OUT_OF_ORDER_SEQUENCE_NUMBER", "away")
                now += 0.2
                await until(lambda: not outbox.is_spilling)
                assert readiness.told()["producer"] == "ok"

    asyncio.run(scenario())
    assert_on(embedded_kafka, topic, set(sent))
