"""Puts the definitions together from settings, contracts and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    Definitions,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
)

from expectations.silver import SESSIONS, silver_table
from expectations.totals import TOTALS
from ingest.contracts.registry import ContractSet, load_contracts
from ingest.settings import IngestSettings
from lake.dbt_run import PROJECT
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake, Layer
from orchestration.alert_sensors import alert_sensors
from orchestration.backfill import KEY as BACKFILL_KEY
from orchestration.backfill import backfill_asset
from orchestration.bronze import bronze_assets
from orchestration.checks import expectation_checks
from orchestration.dbt_manifest import load_manifest
from orchestration.dead_letters import REPORT_KEY, letter_report, replay_job
from orchestration.deprovision import deprovision_job, sweep_job
from orchestration.freshness import event_date_columns, freshness_checks, written_within
from orchestration.jobs import (
    BUILD_JOB,
    COMPACT_JOB,
    EVERYTHING_JOB,
    LETTERS_JOB,
    MAINTAIN_JOB,
    PUBLISH_JOB,
    SWEEP_JOB,
)
from orchestration.keys import PUBLISHED, table_key
from orchestration.maintenance import compact_job, maintain_job
from orchestration.models import MODEL_LAYERS, DbtCommand, model_assets
from orchestration.publish import published_assets
from orchestration.publish_sensor import publish_sensor
from orchestration.settings import OrchestrationSettings
from orchestration.tenants import provision_job
from orchestration.topics import topic_specs
from orchestration.translator import LayerTranslator, layer_of
from orchestration.upkeep import audit_job, forget_job
from orchestration.watch import bronze_sensor
from serving.publish.target import parse_targets
from serving.settings import ServingSettings

LETTERS_CRON = "20 4 * * *"
FORGET_CRON = "50 3 * * *"


def wire(
    ingest: IngestSettings | None = None,
    lake_settings: LakeSettings | None = None,
    settings: OrchestrationSettings | None = None,
    serving: ServingSettings | None = None,
) -> Definitions:
    """Return the definitions; settings that are not given come from the environment."""
    ingest = ingest or IngestSettings()
    lake_settings = lake_settings or LakeSettings()
    settings = settings or OrchestrationSettings()
    serving = serving or ServingSettings()
    targets = parse_targets(serving.publish)
    lake = Lake(lake_settings.root)
    contracts = load_contracts(ingest.contracts_dir)
    freshness = written_within(settings.fresh_hours)
    dbt = DbtCommand(settings.dagster_home, lake_settings)
    manifest = load_manifest(PROJECT, settings.dagster_home)
    data_docs = settings.home.resolve() / "data_docs"
    models = {layer: model_names(manifest, layer) for layer in MODEL_LAYERS}
    checked: dict[Layer, list[str]] = {
        "bronze": [*contracts.names(), DEAD_LETTERS],
        "silver": [name for name in models["silver"] if name in silver_expected(contracts)],
        "gold": models["gold"],
    }
    published = AssetSelection.groups(PUBLISHED)
    everything = AssetSelection.all() - AssetSelection.assets(BACKFILL_KEY, REPORT_KEY)
    return Definitions(
        executor=in_process_executor,
        assets=[
            *topic_specs(contracts),
            bronze_assets(contracts, ingest, lake_settings, freshness),
            *model_assets(manifest, LayerTranslator(freshness), dbt),
            backfill_asset(
                [table_key("bronze", name) for name in contracts.names()], settings, dbt
            ),
            letter_report(lake),
            *published_assets(targets, serving.publish_positions, ingest, lake),
        ],
        asset_checks=[
            *(
                expectation_checks(layer, tables, contracts, lake, data_docs)
                for layer, tables in checked.items()
            ),
            freshness_checks(event_date_columns(manifest), lake, settings.fresh_hours),
        ],
        jobs=[
            define_asset_job(
                BUILD_JOB,
                selection=AssetSelection.groups(*MODEL_LAYERS)
                | AssetSelection.checks_for_assets(
                    *(table_key("bronze", table) for table in checked["bronze"])
                ),
                description="Checks bronze, builds silver and gold from what is new, checks both.",
            ),
            define_asset_job(
                EVERYTHING_JOB,
                selection=everything - published,
                description="Drains what is in Kafka now, then checks and builds everything.",
            ),
            define_asset_job(
                PUBLISH_JOB,
                selection=published,
                description="Sends what changed in gold to the topics that hold its tables.",
            ),
            define_asset_job(
                LETTERS_JOB,
                selection=AssetSelection.assets(REPORT_KEY),
                description="Counts the dead letters, and keeps the counts of the day.",
            ),
            replay_job(lake, contracts, ingest, lake_settings),
            audit_job(lake),
            compact_job(lake, lake_settings),
            maintain_job(lake, lake_settings),
            forget_job(settings.run_retention_days),
            provision_job(ingest, contracts),
            deprovision_job(ingest, lake, lake_settings, contracts),
            sweep_job(ingest, lake, lake_settings, contracts),
        ],
        sensors=[
            bronze_sensor(contracts, lake, settings),
            publish_sensor(targets, settings),
            *alert_sensors(settings),
        ],
        schedules=[
            _schedule("everything_hourly", EVERYTHING_JOB, settings.build_cron),
            _schedule("audit_daily", "audit", settings.audit_cron),
            _schedule("compact_often", COMPACT_JOB, settings.compact_cron),
            _schedule("maintain_daily", MAINTAIN_JOB, settings.maintain_cron),
            _schedule("sweep_deprovisioned_daily", SWEEP_JOB, settings.maintain_cron),
            _schedule("dead_letters_daily", LETTERS_JOB, LETTERS_CRON),
            _schedule("forget_old_runs_daily", "forget_old_runs", FORGET_CRON),
        ],
    )


def model_names(manifest: Mapping[str, Any], layer: Layer) -> list[str]:
    """Return the tables that dbt models make in a layer, sorted."""
    return sorted(
        str(node["alias"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer_of(node) == layer
    )


def silver_expected(contracts: ContractSet) -> set[str]:
    """Return silver's tables of which something is expected."""
    totals = {table for layer, table in TOTALS if layer == "silver"}
    return {SESSIONS, *totals, *(silver_table(contract) for contract in contracts)}


def _schedule(name: str, job: str, cron: str) -> ScheduleDefinition:
    return ScheduleDefinition(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    )
