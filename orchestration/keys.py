"""What each table and topic is called in Dagster: ``<layer>/<table>``, ``kafka/<topic>``."""

from __future__ import annotations

from dagster import AssetKey

from lake.tables import Layer

KAFKA = "kafka"


def table_key(layer: Layer, table: str) -> AssetKey:
    """The asset of a Delta table."""
    return AssetKey([layer, table])


def topic_key(topic: str) -> AssetKey:
    """The external asset of a Kafka topic."""
    return AssetKey([KAFKA, topic])
