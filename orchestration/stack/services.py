"""The processes that ``lakeward up`` runs beside the broker."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.listen_address import ListenAddress
from orchestration.instance import DEFINITIONS_MODULE, LOCATION
from orchestration.stack.health import DagsterPage, code_server_serves
from orchestration.stack.service import Service

LAKEWARD = (sys.executable, "-m", "lakeward")
CODE_HOST = "127.0.0.1"

GENERATOR = "generator"
COLLECTOR = "collector"
WRITER = "writer"
DASHBOARD = "dashboard"
CODE = "dagster-code"
PAGE = "dagster-page"
DAEMON = "dagster-daemon"


@dataclass(frozen=True, slots=True)
class DagsterPlan:
    """Where Dagster's processes listen and what they read."""

    host: str
    port: int
    code_port: int
    workspace: Path
    environment: Mapping[str, str]
    """At least DAGSTER_HOME."""

    @property
    def url(self) -> str:
        """The page's address for a browser on this machine."""
        return ListenAddress(self.host, self.port).url

    @property
    def page(self) -> DagsterPage:
        """The page, to ask it things."""
        return DagsterPage(self.url)


def code_server(plan: DagsterPlan) -> Service:
    """Holds the definitions for the page and the daemon, and is the parent of the runs."""
    return Service(
        name=CODE,
        what="definitions and runs",
        where=f"{CODE_HOST}:{plan.code_port}",
        command=(
            *(sys.executable, "-m", "dagster", "code-server", "start"),
            *("--host", CODE_HOST, "--port", str(plan.code_port)),
            *("--module-name", DEFINITIONS_MODULE, "--location-name", LOCATION),
            "--use-python-environment-entry-point",
        ),
        environment=plan.environment,
        is_ready=lambda: code_server_serves(CODE_HOST, plan.code_port),
        start_seconds=180.0,
        stop_seconds=15.0,
    )


def page(plan: DagsterPlan) -> Service:
    """Dagster's web page."""
    return Service(
        name=PAGE,
        what="assets, runs, checks, backfills",
        where=plan.url,
        command=(
            *(sys.executable, "-m", "dagster_webserver"),
            *("--host", plan.host, "--port", str(plan.port), "--workspace", str(plan.workspace)),
        ),
        environment=plan.environment,
        is_ready=plan.page.answers,
        stop_seconds=10.0,
    )


def daemon(plan: DagsterPlan) -> Service:
    """Sensors, schedules, the run queue, backfills and freshness."""
    began = time.time()
    return Service(
        name=DAEMON,
        what="sensor, schedules, queue",
        command=(
            *(sys.executable, "-m", "dagster._daemon", "run"),
            *("--workspace", str(plan.workspace)),
        ),
        environment=plan.environment,
        is_ready=lambda: plan.page.daemon_beats_since(began),
        stop_seconds=15.0,
    )


def writer(environment: Mapping[str, str], metrics: ListenAddress, accept_gap: bool) -> Service:
    """Brings events from Kafka into bronze, and serves its metrics.

    ``accept_gap`` holds for the first start only: after a crash the topics are the same ones.
    """
    command = (*LAKEWARD, "write", "--log-format", "json", "--metrics-address", str(metrics))
    return Service(
        name=WRITER,
        what="Kafka to bronze, exactly once",
        where=f"{metrics.url}/metrics",
        command=(*command, "--accept-gap") if accept_gap else command,
        restart_command=command,
        environment=environment,
        is_ready=lambda: True,
        ready_line='"event": "partition_begins"',
        stop_seconds=60.0,
    )


def collector(environment: Mapping[str, str], address: ListenAddress) -> Service:
    """Takes events by HTTP; without a tenant it refuses each."""
    return Service(
        name=COLLECTOR,
        what="events by HTTP to Kafka",
        where=address.url,
        command=(*LAKEWARD, "collect", "--address", str(address), "--log-format", "json"),
        environment=environment,
        is_ready=lambda: True,
        ready_line='"event": "collector_listens"',
        stop_seconds=40.0,
    )


def dashboard(environment: Mapping[str, str], host: str, port: int) -> Service:
    """Shows gold and the live views in a browser."""
    return Service(
        name=DASHBOARD,
        what="marts and live views",
        where=f"http://{host}:{port}",
        command=(
            *(*LAKEWARD, "dashboard", "--host", host, "--port", str(port)),
            *("--log-format", "json"),
        ),
        environment=environment,
        is_ready=lambda: True,
        ready_line='"event": "dashboard_listens"',
        stop_seconds=10.0,
    )


def drain(environment: Mapping[str, str]) -> Service:
    """Brings what is in Kafka now into bronze, and ends."""
    return Service(
        name="drain",
        what="the last events into bronze",
        command=(*LAKEWARD, "write", "--until-current"),
        environment=environment,
        is_ready=lambda: True,
        stop_seconds=300.0,
    )


def generator(environment: Mapping[str, str], per_minute: float) -> Service:
    """Makes events, so that a new user sees something move."""
    return Service(
        name=GENERATOR,
        what=f"{per_minute:g} made-up events a minute",
        command=(*LAKEWARD, "generate", "--rate", f"{per_minute:g}"),
        environment=environment,
        is_ready=lambda: True,
    )
