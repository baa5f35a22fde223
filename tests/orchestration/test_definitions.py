"""What Dagster shows, as a reader would list it; none of it needs data."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

from dagster import AssetKey, Definitions

from serving.settings import ServingSettings
from tests.orchestration.conftest import Home, make_home

ROOT = str(Path(__file__).parents[2])

TOPICS = {
    "kafka/analytics-events",
    "kafka/clickstream-events",
    "kafka/conversions",
    "kafka/marketing-events",
    "kafka/user-registrations",
}
BRONZE = {
    "bronze/ad_events",
    "bronze/app_events",
    "bronze/clickstream",
    "bronze/conversions",
    "bronze/dead_letters",
    "bronze/registrations",
}
SILVER = {
    "silver/experiments",
    "silver/int_arrivals",
    "silver/int_days",
    "silver/int_experiment_events",
    "silver/int_sessions",
    "silver/int_user_days",
    "silver/int_touches",
    "silver/int_identity",
    "silver/int_identity_days",
    "silver/int_persons",
    "silver/int_active_days",
    "silver/sites",
    "silver/stg_ad_events",
    "silver/stg_app_events",
    "silver/stg_clickstream",
    "silver/stg_conversions",
    "silver/stg_registrations",
    "silver/stg_rejected_events",
}
GOLD = {
    "gold/current_active_sessions",
    "gold/dim_sites",
    "gold/fct_active_users",
    "gold/fct_activity_heatmap",
    "gold/fct_anomalies",
    "gold/fct_attribution_daily",
    "gold/dim_users",
    "gold/fct_campaign_1m",
    "gold/fct_campaign_daily",
    "gold/fct_conversations",
    "gold/fct_events_by_channel",
    "gold/fct_experiments",
    "gold/fct_funnel",
    "gold/fct_funnel_cohort",
    "gold/fct_geo",
    "gold/fct_metrics_15m",
    "gold/fct_metrics_1m",
    "gold/fct_metrics_5m",
    "gold/fct_metrics_60m",
    "gold/fct_page_performance",
    "gold/fct_registrations_daily",
    "gold/fct_retention",
    "gold/fct_revenue_by_site",
    "gold/fct_revenue_daily",
    "gold/fct_screen_flows",
    "gold/fct_sessions",
    "gold/rpt_data_quality_daily",
    "gold/rpt_freshness",
    "gold/rpt_top_projects",
}
UNDATED = {
    "gold/current_active_sessions",
    "gold/dim_sites",
    "gold/fct_anomalies",
    "gold/fct_experiments",
    "gold/rpt_data_quality_daily",
    "gold/rpt_freshness",
}
"""Gold that is not about days of events."""
NOT_EXPECTED = {
    "silver/experiments",
    "silver/int_active_days",
    "silver/int_arrivals",
    "silver/int_days",
    "silver/int_experiment_events",
    "silver/int_identity_days",
    "silver/int_persons",
    "silver/int_touches",
    "silver/int_user_days",
    "silver/sites",
    "silver/stg_rejected_events",
}
BACKFILL = {"backfill/rebuilt_event_dates"}
REPORT = {"ops/dead_letter_report"}
PUBLISHED = {"published/results"}


def test_the_definitions_load_where_there_is_no_data(empty_home: Home) -> None:
    Definitions.validate_loadable(empty_home.defs)
    assert not (empty_home.path / "lake").exists()


def test_importing_the_definitions_touches_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import orchestration.definitions"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, check=True)
    assert list(tmp_path.iterdir()) == []


def test_each_topic_table_and_model_is_an_asset(empty_home: Home) -> None:
    keys = {spec.key.to_user_string() for spec in empty_home.defs.resolve_all_asset_specs()}
    assert keys == TOPICS | BRONZE | SILVER | GOLD | BACKFILL | REPORT | PUBLISHED


def test_assets_are_grouped_by_layer(empty_home: Home) -> None:
    for spec in empty_home.defs.resolve_all_asset_specs():
        assert spec.group_name == spec.key.path[0]


def test_each_asset_of_bronze_silver_and_gold_can_be_run_and_no_topic_can(empty_home: Home) -> None:
    graph = empty_home.defs.resolve_asset_graph()
    runnable = {key.to_user_string() for key in graph.executable_asset_keys}
    assert runnable == BRONZE | SILVER | GOLD | BACKFILL | REPORT | PUBLISHED


def test_the_graph_leads_from_a_topic_to_a_mart(empty_home: Home) -> None:
    graph = empty_home.defs.resolve_asset_graph()
    way = ["kafka/conversions", "bronze/conversions", "silver/stg_conversions"]
    keys = [AssetKey.from_user_string(name) for name in (*way, "gold/fct_revenue_daily")]
    for upstream, downstream in pairwise(keys):
        assert upstream in graph.get(downstream).parent_keys


def test_every_table_has_an_owner_named_by_its_contract(empty_home: Home) -> None:
    owners = {
        spec.key.to_user_string(): list(spec.owners)
        for spec in empty_home.defs.resolve_all_asset_specs()
    }
    assert owners["bronze/clickstream"] == ["team:web"]
    assert owners["kafka/conversions"] == ["team:revenue"]


def test_tables_that_people_rely_on_have_a_freshness_policy(empty_home: Home) -> None:
    with_policy = {
        spec.key.to_user_string()
        for spec in empty_home.defs.resolve_all_asset_specs()
        if spec.freshness_policy is not None
    }
    assert with_policy == (BRONZE - {"bronze/dead_letters"}) | GOLD


def test_each_table_is_held_to_its_expectations(empty_home: Home) -> None:
    checks = empty_home.defs.resolve_asset_graph().asset_check_keys
    checked = {key.asset_key.to_user_string() for key in checks if key.name == "expectations"}
    assert checked == BRONZE | GOLD | (SILVER - NOT_EXPECTED)


def test_expectations_stop_what_follows(empty_home: Home) -> None:
    graph = empty_home.defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        if key.name == "expectations":
            assert graph.get(key).blocking


def test_gold_is_checked_for_its_newest_event_date(empty_home: Home) -> None:
    checks = empty_home.defs.resolve_asset_graph().asset_check_keys
    dated = {key.asset_key.to_user_string() for key in checks if key.name == "newest_event_date"}
    assert dated == GOLD - UNDATED


def test_what_is_published_is_a_setting(tmp_path: Path) -> None:
    serving = ServingSettings(_env_file=None, publish="fct_geo=countries,fct_funnel=funnel")
    keys = {spec.key for spec in make_home(tmp_path, serving).defs.resolve_all_asset_specs()}
    assert {key.path[1] for key in keys if key.path[0] == "published"} == {"countries", "funnel"}
    nothing = make_home(tmp_path, ServingSettings(_env_file=None, publish="none")).defs
    Definitions.validate_loadable(nothing)


def test_each_dbt_test_of_a_model_is_a_check(empty_home: Home) -> None:
    checks = empty_home.defs.resolve_asset_graph().asset_check_keys
    of_dbt = {
        key.asset_key.path[0]
        for key in checks
        if key.name not in ("expectations", "newest_event_date")
    }
    assert of_dbt == {"silver", "gold"}


def test_the_jobs_schedules_and_sensors_are_these(empty_home: Home) -> None:
    repository = empty_home.defs.get_repository_def()
    jobs = {name for name in repository.job_names if not name.startswith("__")}
    assert jobs == {
        "audit",
        "build",
        "compact",
        "deprovision_tenant",
        "everything",
        "forget_old_runs",
        "maintain",
        "provision_tenant",
        "publish",
        "sweep_deprovisioned_tenants",
        "replay_dead_letters",
        "report_dead_letters",
    }
    assert {s.name: (s.job_name, s.cron_schedule) for s in repository.schedule_defs} == {
        "everything_hourly": ("everything", "5 * * * *"),
        "audit_daily": ("audit", "35 3 * * *"),
        "compact_often": ("compact", "*/10 * * * *"),
        "maintain_daily": ("maintain", "15 2 * * *"),
        "dead_letters_daily": ("report_dead_letters", "20 4 * * *"),
        "forget_old_runs_daily": ("forget_old_runs", "50 3 * * *"),
        "sweep_deprovisioned_daily": ("sweep_deprovisioned_tenants", "15 2 * * *"),
    }
    assert {s.name: s.job_name for s in repository.sensor_defs} == {
        "bronze_versions": "build",
        "published_topics": "publish",
    }


def test_a_build_checks_bronze_and_builds_silver_and_gold(empty_home: Home) -> None:
    job = empty_home.defs.resolve_job_def("build")
    built = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert built == SILVER | GOLD
    checked = {key.asset_key.path[0] for key in job.asset_layer.asset_graph.asset_check_keys}
    assert checked == {"bronze", "silver", "gold"}


def test_runs_are_executed_in_one_process(empty_home: Home) -> None:
    assert empty_home.defs.resolve_job_def("build").executor_def.name == "in_process"


def test_event_dates_begin_where_history_begins_and_include_today(empty_home: Home) -> None:
    graph = empty_home.defs.resolve_asset_graph()
    partitions = graph.get(AssetKey(["backfill", "rebuilt_event_dates"])).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys()
    assert keys[0] == "2015-01-01"
    assert date.fromisoformat(keys[-1]).isoformat() == keys[-1]
