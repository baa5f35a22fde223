"""Bring a running Superset to what the definitions say; doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.superset.api import SupersetApi
from serving.superset.bundle import CERTIFIED_BY, Bundle
from serving.superset.tenant_roles import sync_roles

_KINDS: Final = (("dashboards", "dashboard"), ("charts", "chart"))
"""Part of the bundle, and its name in the API."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a Superset holds after a sync."""

    dashboards: int
    charts: int
    datasets: int
    removed: tuple[str, ...]
    """Dashboards and charts that an earlier sync made and the definitions have no more."""
    tenants: tuple[str, ...]
    """Those with a role."""


def sync(api: SupersetApi, bundle: Bundle, tenants: Sequence[str]) -> SyncResult:
    """Import the bundle, remove what it no longer has, and make a role for each tenant.

    Raises:
        SupersetAnswerError: Superset does not answer, or refuses.
    """
    api.upload("assets/import/", "bundle", "lakeward.zip", bundle.zipped())
    removed = [
        name for part, kind in _KINDS for name in _remove_others(api, kind, bundle.uuids(part))
    ]
    datasets = bundle.uuids("datasets")
    ids = [
        int(row["id"])
        for row in api.every("dataset/", columns=["id", "uuid"])
        if str(row["uuid"]) in datasets
    ]
    sync_roles(api, ids, tenants)
    return SyncResult(
        dashboards=len(bundle.uuids("dashboards")),
        charts=len(bundle.uuids("charts")),
        datasets=len(datasets),
        removed=tuple(removed),
        tenants=tuple(tenants),
    )


def _remove_others(api: SupersetApi, kind: str, kept: set[str]) -> list[str]:
    removed = []
    for row in list(api.every(f"{kind}/", columns=["id", "is_managed_externally", "certified_by"])):
        if not row["is_managed_externally"] or row["certified_by"] != CERTIFIED_BY:
            continue  # somebody's own
        found: dict[str, Any] = api.get(f"{kind}/{row['id']}")["result"]
        if str(found["uuid"]) not in kept:
            api.delete(f"{kind}/{row['id']}")
            removed.append(str(found.get("dashboard_title") or found.get("slice_name")))
    return removed
