"""Bronze tables as assets: materialising one drains what is in its topic at that moment.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections import Counter
from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableSchema,
    multi_asset,
)

from ingest.contracts.model import Contract
from ingest.contracts.registry import ContractSet
from ingest.settings import IngestSettings
from lake import writer
from lake.dbt_sources import duckdb_type
from lake.schema import bronze_schema
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from orchestration.keys import table_key, topic_key
from orchestration.owners import dagster_owners
from orchestration.retries import BROKER_RETRIES
from orchestration.table_metadata import table_facts, table_metadata

GROUP = "bronze"
KINDS = {"deltalake"}


def bronze_assets(
    contracts: ContractSet,
    ingest: IngestSettings,
    settings: LakeSettings,
    freshness: FreshnessPolicy,
) -> AssetsDefinition:
    """Return the bronze tables: one a contract, and the dead letters of all.

    They may be materialised beside the always-on writer: the tables' transaction ids let each
    message in once, whoever brings it.
    """
    specs = [
        *(_table(contract, freshness) for contract in contracts),
        AssetSpec(
            key=table_key("bronze", DEAD_LETTERS),
            group_name=GROUP,
            description="Every message that is no row of its contract's table: why, its bytes, "
            "and where in Kafka it was.",
            deps=[topic_key(topic) for topic in contracts.topics()],
            kinds=KINDS,
            skippable=True,
        ),
    ]

    @multi_asset(
        name="bronze",
        specs=specs,
        can_subset=True,
        retry_policy=BROKER_RETRIES,
        description="Drains what is in Kafka now.",
    )
    def bronze(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        asked = {key.path[-1] for key in context.selected_asset_keys}
        drained = (
            list(contracts)
            if DEAD_LETTERS in asked
            else [contract for contract in contracts if contract.name in asked]
        )
        done = writer.run(ingest, settings, drained, until_current=True)
        context.log.info(
            f"{done.messages} messages: {done.rows} rows, {sum(done.dead.values())} dead letters"
        )
        lake = Lake(settings.root)
        for name in (*contracts.names(), DEAD_LETTERS):
            facts = table_facts(lake, "bronze", name)
            if name in asked and facts is not None:
                metadata = table_metadata(lake, facts)
                if name == DEAD_LETTERS:
                    metadata["dead letters of this drain"] = MetadataValue.json(
                        dict(Counter(done.dead))
                    )
                yield MaterializeResult(asset_key=table_key("bronze", name), metadata=metadata)

    return bronze


def _table(contract: Contract, freshness: FreshnessPolicy) -> AssetSpec:
    columns = [TableColumn(one.name, duckdb_type(one.type)) for one in bronze_schema(contract)]
    return AssetSpec(
        key=table_key("bronze", contract.name),
        group_name=GROUP,
        description=contract.description,
        owners=dagster_owners(contract.owner),
        deps=[topic_key(contract.topic)],
        kinds=KINDS,
        metadata={"dagster/column_schema": TableSchema(columns)},
        freshness_policy=freshness,
        code_version=contract.version,
        skippable=True,
    )
