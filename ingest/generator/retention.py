"""Whether the broker keeps what a backfill sends."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

from ingest.contracts.model import Contract
from ingest.kafka import admin_client
from ingest.settings import IngestSettings

logger = logging.getLogger(__name__)

_TIMEOUT_S: Final = 15.0


def short_retention(
    settings: IngestSettings, contracts: Iterable[Contract], oldest: datetime, now: datetime
) -> dict[str, timedelta]:
    """Return the topics that would delete messages as old as ``oldest``, and how long they keep.

    Kafka counts by a message's own timestamp, and a backfill gives it the time of the event:
    a topic that keeps 7 days may drop a message of last month minutes after it came. Brokers
    that do not tell their settings (the embedded one keeps all) are taken to keep everything.
    """
    topics = sorted({contract.topic for contract in contracts})
    admin = admin_client(settings)
    asked = admin.describe_configs(
        [ConfigResource("topic", topic) for topic in topics],
        request_timeout=_TIMEOUT_S,
    )
    short: dict[str, timedelta] = {}
    for resource, future in asked.items():
        try:
            entry = future.result().get("retention.ms")
        except KafkaException as failure:
            logger.info("retention not known", extra={"reason": failure.args[0].str()})
            continue
        kept_ms = -1 if entry is None or entry.value is None else int(entry.value)
        if kept_ms >= 0 and timedelta(milliseconds=kept_ms) < now - oldest:
            short[resource.name] = timedelta(milliseconds=kept_ms)
    return short
