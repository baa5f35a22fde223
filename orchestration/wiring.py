"""Puts the definitions together from settings, contracts and models."""

from __future__ import annotations

from datetime import timedelta

from dagster import AssetSelection, Definitions, FreshnessPolicy, define_asset_job

from ingest.contracts.registry import load_contracts
from ingest.settings import IngestSettings
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.bronze import bronze_assets
from orchestration.jobs import BUILD_JOB
from orchestration.settings import OrchestrationSettings
from orchestration.topics import topic_specs
from orchestration.watch import bronze_sensor


def wire(
    ingest: IngestSettings | None = None,
    lake_settings: LakeSettings | None = None,
    settings: OrchestrationSettings | None = None,
) -> Definitions:
    """Return the definitions; settings that are not given come from the environment."""
    ingest = ingest or IngestSettings()
    lake_settings = lake_settings or LakeSettings()
    settings = settings or OrchestrationSettings()
    lake = Lake(lake_settings.root)
    contracts = load_contracts(ingest.contracts_dir)
    hours = settings.fresh_hours
    freshness = FreshnessPolicy.time_window(
        fail_window=timedelta(hours=hours), warn_window=timedelta(hours=hours / 2)
    )
    build = define_asset_job(BUILD_JOB, selection=AssetSelection.groups("bronze"))
    return Definitions(
        assets=[
            *topic_specs(contracts),
            bronze_assets(contracts, ingest, lake_settings, freshness),
        ],
        jobs=[build],
        sensors=[bronze_sensor(contracts, lake, settings)],
    )
