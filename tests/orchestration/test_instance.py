"""Dagster's own folder: what is written there, and runs that were cut off."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus, job

from orchestration.instance import MARK, end_cut_off_runs, prepare, write_workspace
from orchestration.settings import OrchestrationSettings
from orchestration.upkeep import forget_runs


@pytest.fixture
def settings(tmp_path: Path) -> OrchestrationSettings:
    return OrchestrationSettings(_env_file=None, home=tmp_path / "home")


@job
def some_job() -> None:
    """Do nothing."""


def test_dagster_accepts_what_is_written_and_keeps_to_itself(
    settings: OrchestrationSettings,
) -> None:
    folder = prepare(settings)
    with DagsterInstance.from_config(str(folder)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_retries_enabled
        assert instance.freshness_enabled
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
        assert Path(instance.root_directory) == folder


def test_a_file_that_the_user_took_over_stays_as_it_is(settings: OrchestrationSettings) -> None:
    path = prepare(settings) / "dagster.yaml"
    assert path.read_text().startswith(MARK)
    path.write_text("telemetry:\n  enabled: false\n")
    prepare(settings)
    assert path.read_text() == "telemetry:\n  enabled: false\n"


def test_the_workspace_names_the_code_server(settings: OrchestrationSettings) -> None:
    prepare(settings)
    workspace = yaml.safe_load(write_workspace(settings, "127.0.0.1", 4266).read_text())
    [entry] = workspace["load_from"]
    assert entry["grpc_server"] == {
        "host": "127.0.0.1",
        "port": 4266,
        "location_name": "lakeward",
    }


def test_runs_that_were_cut_off_end_and_finished_ones_stay() -> None:
    with DagsterInstance.ephemeral() as instance:
        states = {
            DagsterRunStatus.STARTED: DagsterRunStatus.FAILURE,
            DagsterRunStatus.STARTING: DagsterRunStatus.FAILURE,
            DagsterRunStatus.CANCELING: DagsterRunStatus.CANCELED,
            DagsterRunStatus.NOT_STARTED: DagsterRunStatus.NOT_STARTED,
            DagsterRunStatus.SUCCESS: DagsterRunStatus.SUCCESS,
        }
        runs = {
            state: instance.create_run_for_job(some_job, status=state).run_id for state in states
        }
        assert len(end_cut_off_runs(instance, "the power went")) == 3
        for state, then in states.items():
            run = instance.get_run_by_id(runs[state])
            assert run is not None
            assert run.status == then


def test_old_runs_are_forgotten_and_recent_or_unfinished_ones_are_kept() -> None:
    with DagsterInstance.ephemeral() as instance:
        done = instance.create_run_for_job(some_job, status=DagsterRunStatus.SUCCESS).run_id
        going = instance.create_run_for_job(some_job, status=DagsterRunStatus.STARTED).run_id
        now = datetime.now(UTC)
        assert forget_runs(instance, now - timedelta(days=30)) == 0
        assert instance.has_run(done)
        assert forget_runs(instance, now + timedelta(minutes=1)) == 1
        assert not instance.has_run(done)
        assert instance.has_run(going)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LAKEWARD_BUILD_SECONDS", "600")
    monkeypatch.setitem(os.environ, "LAKEWARD_DAGSTER_PORT", "3100")
    settings = OrchestrationSettings(_env_file=None)
    assert (settings.build_seconds, settings.dagster_port) == (600, 3100)
