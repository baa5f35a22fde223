"""Questions to the broker end, whatever becomes of the client that asks them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import pytest

import lake.writer.broker_view
from ingest.errors import BrokerError
from lake.writer.broker_view import BrokerView
from tests.kafka_servers.topics import KafkaForTest


class Stuck:
    """An admin client whose threads wait for a moment that the clock was set back from."""

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Future[Any]]:
        return {name: Future() for name in topics.topic_names}

    def list_offsets(self, asked: Iterable[Any], **_: Any) -> dict[Any, Future[Any]]:
        return {partition: Future() for partition in asked}


@pytest.fixture
def view(embedded_kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch) -> BrokerView:
    view = BrokerView(embedded_kafka.settings)
    monkeypatch.setattr(view, "_admin", Stuck())
    for name in ("TIMEOUT_S", "ID_TIMEOUT_S", "LATE_S"):
        monkeypatch.setattr(lake.writer.broker_view, name, 0.05)
    return view


def test_a_stuck_client_is_told_and_replaced(
    view: BrokerView, embedded_kafka: KafkaForTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = embedded_kafka.unique("asked")
    embedded_kafka.create_topic(topic, 1)
    with pytest.raises(BrokerError, match="gave no answer"):
        view.stable_ends([(topic, 0)])
    for name in ("TIMEOUT_S", "ID_TIMEOUT_S", "LATE_S"):
        monkeypatch.setattr(lake.writer.broker_view, name, 10.0)
    assert view.stable_ends([(topic, 0)]) == {(topic, 0): 0}


def test_a_stuck_client_does_not_pass_for_a_topic_that_is_gone(view: BrokerView) -> None:
    with pytest.raises(BrokerError, match="gave no answer"):
        view.topic_id("visits")
