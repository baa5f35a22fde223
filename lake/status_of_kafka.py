"""What Kafka says about each contract's topic, for ``lakeward status``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ingest.contracts.model import Contract
from ingest.errors import BrokerError, TopicError
from ingest.kafka import admin_client, check_reachable, is_embedded
from ingest.settings import IngestSettings
from lake.settings import LakeSettings
from lake.writer.broker_view import BrokerView
from lake.writer.presence import is_present
from lake.writer.start import TopicPartitionKey

REACH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class TopicEnds:
    """One partition in Kafka."""

    topic_id: str
    low: int
    """The first offset that is still there."""
    end: int
    """The offset after the last one that a reader of committed messages may see."""
    high: int
    """The offset after the last one, those of open transactions included."""


@dataclass(frozen=True, slots=True)
class KafkaSide:
    """Everything Kafka says."""

    ends: Mapping[TopicPartitionKey, TopicEnds] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    """Topics that Kafka does not have."""
    writers: int | None = None
    """Writers at work; None when nobody can tell."""
    is_counted: bool = True
    """False when ``writers`` is only 0 or "at least 1", as with the embedded broker."""
    trouble: BrokerError | None = None
    """Why Kafka does not answer."""


def look_at_kafka(
    ingest: IngestSettings, settings: LakeSettings, contracts: Iterable[Contract]
) -> KafkaSide:
    """Ask Kafka where the topics begin and end and who reads them.

    A Kafka that does not answer is told, not raised.
    """
    at_least = 1 if is_present(settings.home) else None
    try:
        check_reachable(ingest, timeout_s=REACH_SECONDS)
        on_embedded = is_embedded(admin_client(ingest))
        view = BrokerView(ingest)
        keys: list[TopicPartitionKey] = []
        missing: list[str] = []
        for contract in contracts:
            try:
                keys += view.partitions([contract.topic])
            except TopicError:
                missing.append(contract.topic)
        offered = view.offered(keys)
        ends = view.true_ends(keys) if on_embedded else view.stable_ends(keys)
        return KafkaSide(
            ends={
                key: TopicEnds(offer.topic_id, offer.low, ends[key], max(ends[key], offer.end))
                for key, offer in offered.items()
            },
            missing=tuple(missing),
            writers=(at_least or 0) if on_embedded else view.active_members(settings.writer_name),
            is_counted=not on_embedded,
        )
    except (BrokerError, TopicError) as error:
        trouble = error if isinstance(error, BrokerError) else BrokerError(error.message)
        return KafkaSide(writers=at_least, is_counted=False, trouble=trouble)
