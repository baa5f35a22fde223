"""What tables and topics are called in Dagster: ``<layer>/<table>``, ``kafka/<topic>``.

A topic that a table of gold is published to is ``published/<topic>``.
"""

from __future__ import annotations

from dagster import AssetKey

from lake.tables import Layer

KAFKA = "kafka"
PUBLISHED = "published"


def table_key(layer: Layer, table: str) -> AssetKey:
    """The asset of a Delta table."""
    return AssetKey([layer, table])


def topic_key(topic: str) -> AssetKey:
    """The external asset of a Kafka topic."""
    return AssetKey([KAFKA, topic])


def published_key(topic: str) -> AssetKey:
    """The asset of a topic that holds a table of gold."""
    return AssetKey([PUBLISHED, topic])
