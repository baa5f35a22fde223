"""Topics as external assets: Dagster shows them and where they lead, and never fills them."""

from __future__ import annotations

from collections.abc import Iterable

from dagster import AssetSpec, MetadataValue

from ingest.contracts.model import Contract
from orchestration.keys import KAFKA, topic_key
from orchestration.owners import dagster_owners


def topic_specs(contracts: Iterable[Contract]) -> list[AssetSpec]:
    """Return one external asset a contract."""
    return [
        AssetSpec(
            key=topic_key(contract.topic),
            group_name=KAFKA,
            description=contract.description,
            owners=dagster_owners(contract.owner),
            kinds={"kafka"},
            metadata={
                "contract": MetadataValue.text(f"{contract.name} {contract.version}"),
                "event time": MetadataValue.text(contract.event_time),
                "dedup key": MetadataValue.text(", ".join(contract.key)),
            },
        )
        for contract in contracts
    ]
