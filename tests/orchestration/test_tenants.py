"""A tenant is let in by a Dagster job, which may be run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from ingest.broker import EmbeddedBroker
from ingest.connection import admin_client
from ingest.tenants.access import open_directory, open_registry
from ingest.tenants.model import Privacy
from tests.orchestration.conftest import Home, make_home


@pytest.fixture
def own_home(tmp_path: Path) -> Home:
    """A home of the test's own, with nothing in it."""
    return make_home(tmp_path / "home")


def provision(
    home: Home, tenant_id: str, *, raise_on_error: bool = True, **more: Any
) -> ExecuteInProcessResult:
    config = {"ops": {"register_the_tenant": {"config": {"tenant_id": tenant_id, **more}}}}
    with DagsterInstance.ephemeral() as instance:
        return home.defs.resolve_job_def("provision_tenant").execute_in_process(
            run_config=config, instance=instance, raise_on_error=raise_on_error
        )


def test_a_job_registers_a_tenant_and_lets_its_events_in(own_home: Home) -> None:
    """Also one that was registered before, and again after a run that failed."""
    registry = open_registry(own_home.ingest)
    registry.create("globex", who="anna", status="pending")
    away = provision(own_home, "acme", ip="drop", raise_on_error=False)
    assert away.get_failed_step_keys() == {"prepare_its_way"}, "there is no broker yet"
    assert registry.tenant("acme").tenant.status == "pending"
    with EmbeddedBroker(own_home.path):
        runs = [provision(own_home, tenant).run_id for tenant in ("acme", "acme", "globex")]
        topics = admin_client(own_home.ingest).list_topics(timeout=10).topics
    assert "analytics-events" in topics
    with open_directory(own_home.ingest, refresh_seconds=None) as directory:
        assert directory.known_tenants() == {"acme", "globex"}
        tenant = directory.tenant("acme")
        assert tenant is not None
        assert tenant.privacy == Privacy(ip="drop")
    said = [(entry.tenant_id, entry.action, entry.who) for entry in registry.log()]
    assert said == [
        ("globex", "create", "anna"),
        ("acme", "create", f"dagster run {away.run_id}"),
        ("acme", "activate", f"dagster run {runs[0]}"),
        ("globex", "activate", f"dagster run {runs[2]}"),
    ]
    assert registry.keys("acme") == []


def test_who_cannot_be_let_in_fails_the_run_with_the_reason(own_home: Home) -> None:
    registry = open_registry(own_home.ingest)
    registry.create("gone", who="anna")
    registry.suspend("gone", who="anna")
    for tenant_id, why in (("gone", "gone is suspended"), ("No!", "cannot be the id")):
        result = provision(own_home, tenant_id, raise_on_error=False)
        assert result.get_failed_step_keys() == {"register_the_tenant"}
        failure = result.failure_data_for_node("register_the_tenant")
        assert failure is not None
        assert failure.user_failure_data is not None
        assert why in str(failure.user_failure_data.description)
