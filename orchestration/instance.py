"""Dagster's own folder: its configuration, and its memory of runs that were cut off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from orchestration.settings import OrchestrationSettings

logger = logging.getLogger(__name__)

MARK = "# Written by `lakeward up` at each start. Remove this line to keep your own changes.\n"
LOCATION = "lakeward"
DEFINITIONS_MODULE = "orchestration.definitions"
UNFINISHED = (
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)


def prepare(settings: OrchestrationSettings) -> Path:
    """Write ``dagster.yaml`` where Dagster looks for it; return the folder.

    A file from which the user removed the first line is the user's and stays as it is.
    """
    folder = settings.dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "dagster.yaml", instance_configuration(settings))
    return folder


def write_workspace(settings: OrchestrationSettings, host: str, port: int) -> Path:
    """Tell the web page and the daemon where the code server is; return the file."""
    path = settings.dagster_home / "workspace.yaml"
    server = {"host": host, "port": port, "location_name": LOCATION}
    path.write_text(MARK + yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    return path


def instance_configuration(settings: OrchestrationSettings) -> Mapping[str, Any]:
    """Return what ``dagster.yaml`` says.

    Storage is SQLite below the folder. A pool takes one run at a time, so that two runs never
    build the same models at once. A run whose process died is run again; one that failed is not,
    because its steps have retries of their own.
    """
    ticks = {"skipped": 2, "success": 7, "failure": settings.run_retention_days}
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {
            "runs": {"max_concurrent_runs": 4},
            "pools": {"default_limit": 1, "granularity": "run"},
        },
        "run_retries": {
            "enabled": True,
            "max_retries": 2,
            "retry_on_asset_or_op_failure": False,
        },
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 180},
        "retention": {
            "schedule": {"purge_after_days": dict(ticks)},
            "sensor": {"purge_after_days": dict(ticks)},
        },
        "python_logs": {
            "managed_python_loggers": ["ingest", "lake", "expectations"],
            "python_log_level": "INFO",
        },
    }


def end_cut_off_runs(instance: DagsterInstance, reason: str) -> list[str]:
    """Mark runs as failed whose process can no longer be alive; return their ids.

    Call it only while no code server of this instance runs: a run is a child of the code server.
    Dagster's local launcher does not notice by itself, and such a run would hold its pool for
    ever. The daemon then runs it again.
    """
    ended = []
    for run in instance.get_runs(filters=RunsFilter(statuses=list(UNFINISHED))):
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, message=reason)
        else:
            instance.report_run_failed(run, message=reason)
        ended.append(run.run_id)
    if ended:
        logger.warning("runs were cut off", extra={"runs": len(ended), "reason": reason})
    return ended


def _write(path: Path, document: Mapping[str, Any]) -> None:
    if path.exists() and not path.read_text().startswith(MARK):
        return
    path.write_text(MARK + yaml.safe_dump(dict(document), sort_keys=False))
