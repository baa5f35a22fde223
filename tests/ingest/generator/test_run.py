from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.broker import EmbeddedBroker
from ingest.contracts.model import Contract
from ingest.errors import DeliveryError, GeneratorError
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.ledger import Ledger, Recorder
from ingest.generator.message import Message
from ingest.generator.retention import short_retention
from ingest.generator.run import choose_contracts, run
from ingest.generator.sites import load_sites
from ingest.kafka import ensure_topics
from ingest.publisher import Publisher
from ingest.settings import IngestSettings
from tests.kafka_servers.topics import KafkaForTest


@pytest.fixture
def own_topics(kafka: KafkaForTest, contracts: tuple[Contract, ...]) -> tuple[Contract, ...]:
    """The contracts with topics that no other test uses."""
    renamed = tuple(replace(c, topic=kafka.unique(c.topic)) for c in contracts)
    for contract in renamed:
        kafka.create_topic(contract.topic, 3, retention_ms="-1")
    return renamed


def plan(contracts: tuple[Contract, ...], events: int) -> Backfill:
    end = datetime.now(UTC)
    return Backfill(end - timedelta(days=3), end, events, contracts, load_sites(), 5, 0.1)


def test_kafka_holds_exactly_what_the_ledger_says(
    kafka: KafkaForTest, own_topics: tuple[Contract, ...], tmp_path: Path
) -> None:
    made: list[Message] = []

    def noted() -> Iterator[Message]:
        for message in backfill_messages(plan(own_topics, 3_000)):
            made.append(message)
            yield message

    recorder = Recorder("t", tmp_path, own_topics, {}, keep_events=True)
    ledger = run(noted(), Publisher(kafka.settings, own_topics), recorder)

    assert ledger.complete
    assert ledger.acknowledged == ledger.messages == len(made) > 3_000
    for contract in own_topics:
        sent = [m for m in made if m.contract == contract.name]
        entry = ledger.contracts[contract.name]
        assert entry.messages == len(sent)
        there = kafka.consume(contract.topic, len(sent))
        assert Counter((m.key(), m.value(), m.timestamp()[1]) for m in there) == Counter(
            (m.key, m.value, m.timestamp_ms) for m in sent
        )


def test_an_original_stands_before_its_copy_in_one_partition(
    kafka: KafkaForTest, own_topics: tuple[Contract, ...], tmp_path: Path
) -> None:
    clicks = tuple(c for c in own_topics if c.name == "clickstream")
    recorder = Recorder("t", tmp_path, clicks, {}, keep_events=False)
    ledger = run(
        backfill_messages(plan(clicks, 2_000)), Publisher(kafka.settings, clicks), recorder
    )
    entry = ledger.contracts["clickstream"]
    there = kafka.consume(clicks[0].topic, entry.messages)
    places: dict[bytes, list[tuple[int, int]]] = {}
    for message in there:
        places.setdefault(message.value(), []).append((message.partition(), message.offset()))
    copied = [found for found in places.values() if len(found) == 2]
    assert len(copied) == entry.duplicates > 10
    assert all(len({partition for partition, _ in found}) == 1 for found in copied)


def test_a_run_that_is_stopped_has_a_true_ledger(
    embedded_kafka: KafkaForTest, contracts: tuple[Contract, ...], tmp_path: Path
) -> None:
    chosen = tuple(
        replace(c, topic=embedded_kafka.unique(c.topic)) for c in contracts if c.name == "ad_events"
    )
    ensure_topics(embedded_kafka.settings, chosen)
    asked = iter([False, True])
    recorder = Recorder("t", tmp_path, chosen, {}, keep_events=False)
    run(
        backfill_messages(plan(chosen, 20_000)),
        Publisher(embedded_kafka.settings, chosen),
        recorder,
        stop=lambda: next(asked),
    )
    ledger = Ledger.load(tmp_path / "ledger-t.json")
    assert not ledger.complete
    assert ledger.messages == ledger.acknowledged == 4_000
    assert len(embedded_kafka.consume(chosen[0].topic, 4_000)) == 4_000


def test_a_broker_that_goes_away_is_a_failure_and_not_a_loss_in_silence(
    contracts: tuple[Contract, ...], tmp_path: Path
) -> None:
    chosen = tuple(c for c in contracts if c.name == "ad_events")
    with EmbeddedBroker(tmp_path / "broker") as broker:
        settings = IngestSettings(
            _env_file=None, home=tmp_path, bootstrap_servers=broker.bootstrap_servers
        )
        ensure_topics(settings, chosen)

        def until_it_stops() -> Iterator[Message]:
            for number, message in enumerate(backfill_messages(plan(chosen, 6_000))):
                if number == 4_000:
                    broker.stop()
                yield message

        recorder = Recorder("t", tmp_path, chosen, {}, keep_events=False)
        with pytest.raises(DeliveryError, match="did not take"):
            run(until_it_stops(), Publisher(settings, chosen, delivery_timeout_s=2), recorder)
    ledger = Ledger.load(tmp_path / "ledger-t.json")
    assert not ledger.complete
    assert ledger.acknowledged < ledger.messages


def test_a_topic_that_forgets_the_past_is_told(
    apache_kafka: KafkaForTest, contracts: tuple[Contract, ...]
) -> None:
    week = replace(contracts[0], topic=apache_kafka.unique("week"))
    ever = replace(contracts[1], topic=apache_kafka.unique("ever"))
    apache_kafka.create_topic(week.topic, retention_ms="604800000")
    apache_kafka.create_topic(ever.topic, retention_ms="-1")
    now = datetime.now(UTC)

    def short(days: int) -> dict[str, timedelta]:
        oldest = now - timedelta(days=days)
        return short_retention(apache_kafka.settings, [week, ever], oldest, now)

    assert short(days=8) == {week.topic: timedelta(days=7)}
    assert short(days=6) == {}


def test_the_embedded_broker_forgets_nothing(
    embedded_kafka: KafkaForTest, contracts: tuple[Contract, ...]
) -> None:
    now = datetime.now(UTC)
    topic = embedded_kafka.unique("kept")
    embedded_kafka.create_topic(topic)
    kept = [replace(contracts[0], topic=topic)]
    assert short_retention(embedded_kafka.settings, kept, now - timedelta(days=900), now) == {}


def test_a_contract_that_cannot_be_made_is_told(contracts: tuple[Contract, ...]) -> None:
    assert len(choose_contracts(contracts, None)) == 5
    assert [c.name for c in choose_contracts(contracts, ["ad_events"])] == ["ad_events"]
    with pytest.raises(GeneratorError, match="`orders`") as caught:
        choose_contracts(contracts, ["orders"])
    assert "clickstream" in (caught.value.hint or "")
