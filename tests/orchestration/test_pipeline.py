"""Dagster at work: topics to gold in one process, on the embedded broker and real Delta tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest
from dagster import (
    AssetCheckSeverity,
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    ExecuteInProcessResult,
    define_asset_job,
)
from deltalake import write_deltalake

from ingest.broker import EmbeddedBroker
from ingest.contracts.registry import load_contracts
from lake.duck import connect, delta_scan
from orchestration.backfill import KEY as BACKFILL_KEY
from tests.orchestration.conftest import DAYS, LAST_DAY, Home, make_home, materialized, send_events

EVENTS = 600
NO_BROKER = "127.0.0.1:1"
DAY_ONE = (LAST_DAY - timedelta(days=DAYS - 1)).date()
DAY_TWO = DAY_ONE + timedelta(days=1)
DAY_THREE = DAY_ONE + timedelta(days=2)


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def everything(home: Home, instance: DagsterInstance) -> ExecuteInProcessResult:
    """The job that drains Kafka, checks and builds, on a lake that was not there before."""
    return home.run("everything", instance)


def count(home: Home, layer: str, table: str, where: str = "true") -> int:
    with connect(home.lake) as connection:
        source = delta_scan(f"{home.lake.root}/{layer}/{table}")
        answer = connection.execute(f"select count(*) from {source} where {where}").fetchone()
    assert answer is not None
    return int(answer[0])


def test_everything_goes_from_kafka_to_gold(home: Home, everything: ExecuteInProcessResult) -> None:
    assert everything.success
    bronze = {name: count(home, "bronze", name) for name in load_contracts(None).names()}
    assert sum(bronze.values()) == EVENTS
    assert count(home, "silver", "stg_clickstream") == bronze["clickstream"]
    assert count(home, "gold", "fct_metrics_60m") > 0


def test_every_table_is_materialized_once_with_rows_bytes_and_version(
    home: Home, everything: ExecuteInProcessResult
) -> None:
    seen = set()
    for event in everything.get_asset_materialization_events():
        assert event.asset_key is not None
        layer, table = event.asset_key.path
        told = event.step_materialization_data.materialization.metadata
        facts = home.lake.open(layer, table)  # type: ignore[arg-type]
        assert told["dagster/row_count"].value == count(home, layer, table)
        assert told["Delta version"].value == facts.version()
        assert told["bytes"].value == sum(
            facts.get_add_actions(flatten=True).column("size_bytes").to_pylist()
        )
        seen.add(f"{layer}/{table}")
    assert {"bronze/clickstream", "silver/int_sessions", "gold/fct_funnel"} <= seen
    assert len(seen) == len(everything.get_asset_materialization_events())


def test_every_column_of_silver_and_gold_shows_what_it_is_made_of(
    everything: ExecuteInProcessResult,
) -> None:
    leads: dict[str, dict[str, set[str]]] = {}
    for event in everything.get_asset_materialization_events():
        told = event.step_materialization_data.materialization.metadata
        assert event.asset_key is not None
        if "dagster/column_lineage" in told:
            lineage = told["dagster/column_lineage"].value
            leads[event.asset_key.to_user_string()] = {
                column: {f"{dep.asset_key.path[-1]}.{dep.column_name}" for dep in deps}
                for column, deps in lineage.deps_by_column.items()  # type: ignore[union-attr]
            }
    built = {key for key in materialized(everything) if key.startswith(("silver/", "gold/"))}
    seeds = {"silver/sites", "silver/experiments"}
    assert set(leads) == built - seeds, "sqlglot does not understand a model"
    assert leads["gold/fct_revenue_daily"]["gross_usd"] == {
        "stg_conversions.amount_usd",
        "stg_conversions.is_purchase",
    }
    assert leads["silver/stg_conversions"]["amount_usd"] == {"conversions.amount_usd"}


def test_all_checks_are_evaluated_and_sound_events_pass_them(
    everything: ExecuteInProcessResult,
) -> None:
    evaluations = everything.get_asset_check_evaluations()
    expectations = {e.asset_key.path[0] for e in evaluations if e.check_name == "expectations"}
    assert expectations == {"bronze", "silver", "gold"}
    blocking = [e for e in evaluations if not e.passed and e.severity == AssetCheckSeverity.ERROR]
    assert blocking == []


def test_events_of_last_year_do_not_pass_as_fresh(everything: ExecuteInProcessResult) -> None:
    dated = [
        e for e in everything.get_asset_check_evaluations() if e.check_name == "newest_event_date"
    ]
    assert len(dated) > 2
    for evaluation in dated:
        assert not evaluation.passed
        assert evaluation.severity == AssetCheckSeverity.WARN
    told = [str(evaluation.description) for evaluation in dated]
    assert sum(str(LAST_DAY.date()) in one for one in told) > 10


def test_building_again_while_kafka_is_away_goes_well_and_changes_no_table(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    tables = [tuple(key.path) for key in materialized(everything).values()]
    before = {key: count(home, *key) for key in tables}
    assert make_home(home.path, broker=NO_BROKER).run("build", instance).success
    assert {key: count(home, *key) for key in tables} == before


def test_new_events_reach_gold_by_the_same_job(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    before = count(home, "silver", "stg_clickstream")
    send_events(home.ingest, 200, LAST_DAY + timedelta(days=2), timedelta(days=1), seed=8)
    assert home.run("everything", instance).success
    assert count(home, "silver", "stg_clickstream") > before
    newest = LAST_DAY.date() + timedelta(days=1)
    assert count(home, "gold", "fct_metrics_60m", f"metric_date = date '{newest}'") > 0


def test_one_table_can_be_materialized_alone(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    chosen = AssetSelection.assets("gold/fct_funnel").without_checks()
    result = run_selection(home, instance, chosen)
    assert result.success
    assert set(materialized(result)) == {"gold/fct_funnel"}
    assert result.get_asset_check_evaluations() == []


def test_a_backfill_rebuilds_the_dates_it_was_asked_for_and_no_others(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    table = "fct_metrics_60m"
    on = {day: f"metric_date = date '{day}'" for day in (DAY_ONE, DAY_TWO, DAY_THREE)}
    before = {day: count(home, "gold", table, where) for day, where in on.items()}
    assert all(before.values())
    for where in on.values():
        home.lake.open("gold", table).delete(where)

    result = run_selection(
        home,
        instance,
        AssetSelection.assets(BACKFILL_KEY),
        tags={
            "dagster/asset_partition_range_start": str(DAY_ONE),
            "dagster/asset_partition_range_end": str(DAY_TWO),
        },
    )
    assert result.success
    after = {day: count(home, "gold", table, where) for day, where in on.items()}
    assert after == {DAY_ONE: before[DAY_ONE], DAY_TWO: before[DAY_TWO], DAY_THREE: 0}

    filled = instance.get_materialized_partitions(BACKFILL_KEY)
    assert filled == {str(DAY_ONE), str(DAY_TWO)}


def test_a_backfill_of_old_days_makes_no_table_look_fresh(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    result = run_selection(
        home, instance, AssetSelection.assets(BACKFILL_KEY), partition=str(DAY_THREE)
    )
    assert set(materialized(result)) == {BACKFILL_KEY.to_user_string()}
    observed = {
        event.asset_key.to_user_string()
        for event in result.filter_events(
            lambda event: event.event_type == DagsterEventType.ASSET_OBSERVATION
        )
        if event.asset_key is not None
    }
    assert "gold/fct_metrics_60m" in observed


def test_the_audit_job_proves_the_promise_and_fails_when_it_is_broken(
    home: Home, everything: ExecuteInProcessResult, instance: DagsterInstance
) -> None:
    assert home.run("audit", instance).success
    table = home.lake.open("bronze", "ad_events")
    [lost] = table.to_pyarrow_table(columns=["_offset", "_partition"]).slice(0, 1).to_pylist()
    table.delete(f"_offset = {lost['_offset']} and _partition = {lost['_partition']}")
    broken = home.run("audit", instance, raise_on_error=False)
    assert not broken.success
    [failure] = broken.get_step_failure_events()
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert data.description == "the promise does not hold: messages are lost or doubled"
    assert "| lost | ad_events |" in str(data.metadata["findings"].value)


def test_a_blocking_rule_that_fails_stops_silver_and_gold(
    tmp_path_factory: pytest.TempPathFactory, instance: DagsterInstance
) -> None:
    path = tmp_path_factory.mktemp("blocked") / "home"
    with EmbeddedBroker(path):
        home = make_home(path)
        send_events(home.ingest, 300, LAST_DAY, timedelta(days=1), seed=9)
        drained = run_selection(home, instance, AssetSelection.groups("bronze").without_checks())
        assert drained.success
    bronze = home.lake.open("bronze", "clickstream")
    row = bronze.to_pyarrow_table().slice(0, 1)
    field = row.schema.field("session_id")
    no_session = row.set_column(
        row.schema.get_field_index("session_id"), field, pa.nulls(1, field.type)
    )
    write_deltalake(bronze, no_session, mode="append")

    result = home.run("build", instance, raise_on_error=False)

    assert not result.success
    assert materialized(result) == {}
    assert not home.lake.exists("silver", "stg_clickstream")
    [evaluation] = [
        e
        for e in result.get_asset_check_evaluations()
        if e.asset_key == AssetKey(["bronze", "clickstream"])
    ]
    assert not evaluation.passed
    assert evaluation.severity == AssetCheckSeverity.ERROR
    assert "session_id" in str(evaluation.metadata["what does not hold"].value)


def run_selection(
    home: Home,
    instance: DagsterInstance,
    selection: AssetSelection,
    *,
    partition: str | None = None,
    tags: dict[str, str] | None = None,
) -> ExecuteInProcessResult:
    """Run what a user would select on the asset graph."""
    job = define_asset_job("selected", selection=selection)
    resolved = job.resolve(asset_graph=home.defs.resolve_asset_graph())
    return resolved.execute_in_process(instance=instance, partition_key=partition, tags=tags or {})
