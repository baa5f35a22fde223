"""The status counts tenants, and says when their registry is away."""

from __future__ import annotations

from pathlib import Path

from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from lake.status_of_tenants import look_at_tenants


def test_tenants_are_counted_by_status_and_a_registry_that_is_away_is_told(tmp_path: Path) -> None:
    here = IngestSettings(_env_file=None, home=tmp_path)
    assert look_at_tenants(here).by_status == {}
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"
    registry = open_registry(here)
    for tenant_id in ("a", "b", "c"):
        registry.create(tenant_id, who="anna")
    registry.suspend("c", who="anna")
    assert look_at_tenants(here).by_status == {"active": 2, "suspended": 1}
    address = f"postgresql:///x?host={tmp_path}"
    away = look_at_tenants(IngestSettings(_env_file=None, home=tmp_path, tenant_registry=address))
    assert away.by_status == {}
    assert away.trouble is not None
