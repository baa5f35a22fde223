"""Which broker `lakeward up` uses, and whether there is something in it to save."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from ingest.broker import EmbeddedBroker
from ingest.contracts.registry import load_contracts
from ingest.errors import BrokerError
from ingest.kafka import client_config, ensure_topics
from ingest.settings import IngestSettings
from orchestration.stack.broker_seat import BrokerSeat, holds_messages

TOPICS = load_contracts(None).topics()


@pytest.fixture
def settings(tmp_path: Path) -> IngestSettings:
    return IngestSettings(_env_file=None, home=tmp_path / "home")


def test_a_broker_is_started_when_there_is_none_and_stopped_again(settings: IngestSettings) -> None:
    seat = BrokerSeat.take(settings)
    assert not holds_messages(settings, TOPICS)
    seat.check_alive()
    seat.stop()
    with pytest.raises(BrokerError):
        holds_messages(settings, TOPICS)


def test_a_broker_that_runs_already_is_used_and_left_running(settings: IngestSettings) -> None:
    with EmbeddedBroker(settings.home) as broker:
        seat = BrokerSeat.take(settings)
        assert seat.address == broker.bootstrap_servers
        seat.stop()
        broker.check_alive()


def test_a_single_message_is_something_to_save(settings: IngestSettings) -> None:
    with EmbeddedBroker(settings.home):
        assert not holds_messages(settings, TOPICS)
        ensure_topics(settings, load_contracts(None))
        assert not holds_messages(settings, TOPICS)
        producer = Producer(client_config(settings))
        producer.produce("conversions", value=b"{}")
        assert producer.flush(30) == 0
        assert holds_messages(settings, TOPICS)


def test_the_end_of_an_own_broker_is_noticed(settings: IngestSettings) -> None:
    seat = BrokerSeat.take(settings)
    assert seat.owned is not None
    process = seat.owned._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(BrokerError, match="ended by itself"):
        seat.check_alive()
    seat.stop()
