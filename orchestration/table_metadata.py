"""What Dagster is told about a Delta table each time it is written: rows, bytes, version."""

from __future__ import annotations

from dagster import MetadataValue

from lake.inventory import TableFacts, facts
from lake.tables import Lake, Layer

VERSION = "Delta version"


def table_facts(lake: Lake, layer: Layer, name: str) -> TableFacts | None:
    """Return what the Delta log says of a table's head, None when there is no table yet."""
    if not lake.exists(layer, name):
        return None
    return facts(layer, name, lake.open(layer, name))


def table_metadata(lake: Lake, found: TableFacts | None) -> dict[str, MetadataValue]:
    """Return a table's facts as Dagster's metadata; empty when there is no table."""
    if found is None:
        return {}
    metadata: dict[str, MetadataValue] = {
        VERSION: MetadataValue.int(found.version),
        "bytes": MetadataValue.int(found.size_bytes),
        "files": MetadataValue.int(found.files),
        "dagster/uri": MetadataValue.text(lake.uri(found.layer, found.name)),
    }
    if found.rows is not None:
        metadata["dagster/row_count"] = MetadataValue.int(found.rows)
    if found.changed_at is not None:
        metadata["committed at"] = MetadataValue.timestamp(found.changed_at)
    return metadata
