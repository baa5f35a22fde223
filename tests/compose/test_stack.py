"""The compose stack by hand: the file's own processes, from an event by HTTP to gold and a panel.

Without Docker, but with all that the file says of commands, variables, health checks, order and
time to stop. Grafana is not to be had as a program; Superset's service is started in
tests/serving/superset.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ingest.contracts.registry import load_contracts
from ingest.generator.backfill import Backfill
from ingest.generator.run import generate_events
from ingest.generator.sites import load_sites
from lake.dbt_run import PROJECT
from orchestration.dbt_manifest import fingerprint
from tests.compose.dagster import Dagster
from tests.compose.file import services
from tests.compose.machine import KAFKA, LISTENERS, LOOKS, PATIENCE_S, Machine
from tests.grafana.dashboards import expressions
from tests.kafka_servers.apache import ApacheKafka
from tests.ports import free_ports

NOT_PROGRAMS_HERE: Final = {"grafana", "superset", "superset-sync"}
TENANT: Final = "newcomer"
EVENTS: Final = 120
"""Of each time that is sent."""
ENV: Final = """
LAKEWARD_LAKE_ROOT=s3://lake/root
AWS_ENDPOINT_URL=http://seaweedfs:8333
AWS_ALLOW_HTTP=true
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=lakeward
AWS_SECRET_ACCESS_KEY=not-a-secret-in-a-test
LAKEWARD_DEMO_RATE=60
LAKEWARD_WATCH_SECONDS=5
LAKEWARD_EXPORTER_SECONDS=5
LAKEWARD_BUILD_CRON=0 0 29 2 *
LAKEWARD_COMPACT_CRON=0 0 29 2 *
LAKEWARD_MAINTAIN_CRON=0 0 29 2 *
LAKEWARD_AUDIT_CRON=0 0 29 2 *
"""
"""What a schedule would begin meanwhile is put off to the next leap day."""
KAFKA_ADDRESSES: Final = {
    "KAFKA_LISTENERS",
    "KAFKA_ADVERTISED_LISTENERS",
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
    "KAFKA_INTER_BROKER_LISTENER_NAME",
    "KAFKA_LOG_DIRS",
    "KAFKA_HEAP_OPTS",
}
"""What a Kafka that is started here has to have its own way."""
BUILT: Final = [("gold", name) for name in ("fct_geo", "fct_metrics_60m", "rpt_freshness")]
"""What the panels ask for."""
WRITTEN: Final = re.compile(
    r'^lakeward_writer_rows_total\{contract="(\w+)".*\} (\S+)$', re.MULTILINE
)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name: the code server puts a socket in its volume."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture
def kafka(folder: Path, apache_or_skip: Callable[..., ApacheKafka]) -> ApacheKafka:
    """A Kafka with the file's settings, on ports of our own.

    What it gives out for programs of this machine only Docker would publish: in a container nobody
    listens there.
    """
    settings = services({})[KAFKA].environment
    assert settings.keys() >= KAFKA_ADDRESSES
    # The image turns KAFKA_SOME_NAME into some.name; so do we.
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in settings.items()
        if name not in KAFKA_ADDRESSES
    }
    (published,) = free_ports(1)
    return apache_or_skip(
        folder / "kafka",
        listeners=dict.fromkeys(LISTENERS.values(), "PLAINTEXT"),
        advertise={LISTENERS[9092]: f"localhost:{published}"},
        properties=properties,
    )


@pytest.mark.timeout(1800)
def test_an_event_goes_the_whole_way_through_the_services_of_the_file(
    prometheus: None, kafka: ApacheKafka, folder: Path
) -> None:
    (folder / ".env").write_text(ENV)
    names = services({}).keys() - NOT_PROGRAMS_HERE
    with Machine(folder, folder / ".env", kafka, names) as machine:
        skip_column_lineage(machine.folder("code") / "dagster")
        machine.up(KAFKA, "seaweedfs", "collector", "writer", "code", "dagster")
        made = machine.execute("collector", "lakeward", "tenant", "create", TENANT)
        assert made.returncode == 0, made.stderr
        accepted = send(machine, made.stdout.strip())
        machine.wait("the events in bronze", lambda: not_in_bronze(machine, accepted))
        dagster = Dagster(machine.url("dagster", 3000))
        # As by a click on some tables: building and checking all of them takes minutes.
        run = dagster.materialize(BUILT, [("bronze", "clickstream")])

        machine.up()
        bronze = ("bronze", "clickstream")
        machine.wait("the sensor's report of bronze", lambda: dagster.unwritten(bronze))
        dagster.stop_sensor()  # before it asks for a build of everything
        machine.wait("the build", lambda: dagster.unfinished(run))
        told = machine.execute(
            *("writer", "lakeward", "query", "--format", "json"),
            "select sum(event_count)::bigint as n from gold.fct_metrics_60m "
            f"where tenant_id = '{TENANT}'",
        )
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout) == [{"n": accepted["clickstream"]}]

        write_an_anomaly(machine)
        watch(machine)
        machine.wait("the end of every run", dagster.at_work)
        machine.stop()


def watch(machine: Machine) -> None:
    """Return when Prometheus has reached every service, and answers what is asked of it."""
    url = machine.url("prometheus", 9090)
    asked = expressions()
    assert len(asked) > 30
    machine.wait("Prometheus' targets", lambda: not_up(url))
    machine.wait("answers to panels", lambda: [one for one in asked if not ask(url, one)])
    machine.wait("its rules", lambda: rules_without_health(url))
    firing = 'ALERTS{alertname="TrafficAnomaly",alertstate="firing"}'
    machine.wait("an alert", lambda: None if ask(url, firing) else firing)


def write_an_anomaly(machine: Machine) -> None:
    """Write what a panel asks for and no newcomer has; the build leaves this table out."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    anomaly = {
        "anomaly_date": hour.date(),
        "window_start": hour,
        "metric": "event_count",
        "direction": "drop",
        "severity": "critical",
    }
    write_deltalake(
        f"{machine.variables['LAKEWARD_LAKE_ROOT']}/gold/fct_anomalies",
        pa.Table.from_pylist([anomaly]),
        storage_options={
            **{k: v for k, v in machine.variables.items() if k.startswith("AWS_")},
            "AWS_ENDPOINT_URL": machine.url("seaweedfs", 8333),
        },
    )


def skip_column_lineage(home: Path) -> None:
    """Have builds find it read already: it takes half a minute, and nobody looks at it here."""
    home.mkdir()
    (home / f"lineage-{fingerprint(PROJECT)}.json").write_text("{}")


def not_in_bronze(machine: Machine, accepted: Mapping[str, int]) -> dict[str, float]:
    """Return how many rows of each contract the writer has still to commit, by its own metrics."""
    said = get(f"{machine.url('writer', 9464)}/metrics").text
    rows = dict.fromkeys(accepted, 0.0)
    for contract, number in WRITTEN.findall(said):
        rows[contract] = rows.get(contract, 0) + float(number)
    return {name: n - rows[name] for name, n in accepted.items() if n > rows[name]}


def send(machine: Machine, key: str) -> dict[str, int]:
    """Send events by HTTP; return how many of each contract were taken.

    They are of the times that panels compare: the last 24 hours, yesterday, the week before.
    """
    day = timedelta(days=1)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    midnight = end.replace(hour=0)
    times = [(end - 9 * day, end - day), (midnight - day, midnight), (end - day, end)]
    contracts = tuple(load_contracts(None))
    entries = []
    for seed, (since, until) in enumerate(times):
        plan = Backfill(since, until, EVENTS, contracts, load_sites(), seed)
        for contract, _, value, _ in generate_events(plan):
            payload = json.loads(value)
            del payload["tenant_id"]  # it is that of the key
            entries.append({"contract": contract, "payload": payload})
    refused = {"contract": "none", "payload": {}}
    url, headers = f"{machine.url('collector', 8080)}/analytics", {"X-Write-Key": key}
    for _ in range(LOOKS):
        answer = httpx.post(url, json=[*entries, refused], headers=headers, timeout=PATIENCE_S)
        if answer.status_code != 401:
            break
        time.sleep(0.5)  # a new key is known within seconds
    assert (answer.status_code, answer.json()["rejected"]) == (207, 1), answer.text
    return Counter(entry["contract"] for entry in entries)


def ask(prometheus: str, expression: str) -> list[Any]:
    """Return what Prometheus answers to a query."""
    result: list[Any] = get(f"{prometheus}/api/v1/query", query=expression).json()["data"]["result"]
    return result


def get(url: str, **parameters: str) -> httpx.Response:
    """Return what a service answers, however long it takes."""
    return httpx.get(url, params=parameters, timeout=PATIENCE_S).raise_for_status()


def not_up(prometheus: str) -> list[tuple[str, str]] | str:
    """Return the targets that Prometheus does not reach, and why."""
    targets = get(f"{prometheus}/api/v1/targets").json()["data"]["activeTargets"]
    bad = [(one["scrapeUrl"], one["lastError"]) for one in targets if one["health"] != "up"]
    return bad if targets else "no targets"


def rules_without_health(prometheus: str) -> list[str]:
    """Return the alert and recording rules that Prometheus could not evaluate."""
    groups = get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
    return [one["name"] for group in groups for one in group["rules"] if one["health"] != "ok"]
