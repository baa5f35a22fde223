"""Who sees whose rows: one role a tenant, and nothing for whoever has none.

A rule of row-level security adds ``tenant_id = '...'`` to each query of the role. A second rule
adds ``1 = 0`` for everybody who has none of these roles, so that a user who was forgotten sees
nothing (ADR 091).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from serving.superset.api import SupersetApi

ALL_TENANTS: Final = "lakeward: all tenants"
NOBODY: Final = "lakeward: nothing without a role"
GROUP: Final = "lakeward-tenant"
_ADMIN: Final = "Admin"
_GAMMA: Final = "Gamma"
"""Superset's role of somebody who looks, drills and exports, and may keep charts of their own."""


def role_name(tenant_id: str) -> str:
    """Return what the role of a tenant is called, and its rule."""
    return f"lakeward: tenant {tenant_id}"


def clause(tenant_id: str) -> str:
    """Return the condition on a tenant's rows."""
    return "tenant_id = '" + tenant_id.replace("'", "''") + "'"


def sync_roles(api: SupersetApi, dataset_ids: Sequence[int], tenants: Sequence[str]) -> None:
    """Make the roles and their rules, or bring them up to date.

    The rules come before the right to read a dataset, so there is no moment in which a tenant's
    analyst could see more. A role whose tenant is gone stays, with its rule: it shows no rows.

    Raises:
        SupersetAnswerError: Superset does not answer, or refuses.
    """
    roles = {row["name"]: int(row["id"]) for row in api.every("security/roles/")}
    wanted = [ALL_TENANTS, *map(role_name, tenants)]
    for name in wanted:
        if name not in roles:
            roles[name] = int(api.post("security/roles/", {"name": name})["id"])
    ours = [roles[name] for name in sorted(roles) if name.startswith("lakeward: ")]
    rules = {row["name"]: int(row["id"]) for row in api.every("rowlevelsecurity/")}
    for tenant_id in tenants:
        name = role_name(tenant_id)
        _rule(api, rules.get(name), name, "Regular", clause(tenant_id), dataset_ids, [roles[name]])
    spared = [roles[_ADMIN], *ours]
    _rule(api, rules.get(NOBODY), NOBODY, "Base", "1 = 0", dataset_ids, spared)
    allowed = _permissions(api, roles[_GAMMA], dataset_ids)
    for name in wanted:
        api.post(f"security/roles/{roles[name]}/permissions", {"permission_view_menu_ids": allowed})


def _rule(
    api: SupersetApi,
    known: int | None,
    name: str,
    kind: str,
    condition: str,
    dataset_ids: Sequence[int],
    role_ids: Sequence[int],
) -> None:
    body: dict[str, Any] = {
        "name": name,
        "description": "Kept by lakeward superset sync.",
        "filter_type": kind,
        "clause": condition,
        "tables": list(dataset_ids),
        "roles": list(role_ids),
        "group_key": GROUP,
    }
    if known is None:
        api.post("rowlevelsecurity/", body)
    else:
        api.put(f"rowlevelsecurity/{known}", body)


def _permissions(api: SupersetApi, gamma: int, dataset_ids: Sequence[int]) -> list[int]:
    """Return Gamma's permissions and the right to read these datasets."""
    found = {int(one["id"]) for one in api.get(f"security/roles/{gamma}/permissions/")["result"]}
    ends = tuple(f"(id:{number})" for number in dataset_ids)
    for one in api.every("security/permissions-resources/"):
        is_ours = one["view_menu"]["name"].endswith(ends)
        if one["permission"]["name"] == "datasource_access" and is_ours:
            found.add(int(one["id"]))
    return sorted(found)
