"""Tenants, write keys and the audit log as tables for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from ingest.tenants.reading import AuditEntry, KeyRecord, TenantRecord
from lakeward.console import console


def print_tenants(found: Sequence[TenantRecord], keys: Mapping[str, int]) -> None:
    """Print one line a tenant; ``keys`` is how many of each are taken."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("tenant", "name"):
        table.add_column(title)
    for title in ("status", "since (UTC)"):
        table.add_column(title, no_wrap=True)
    for title in ("requests/s", "keys"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found:
        tenant = one.tenant
        table.add_row(
            escape(tenant.tenant_id), escape(tenant.name), tenant.status, _moment(one.changed_at),
            f"{tenant.quota.requests_per_second:g}", str(keys[tenant.tenant_id]),
        )  # fmt: skip
    console.print(table)


def print_tenant(record: TenantRecord, keys: Sequence[KeyRecord], now: datetime) -> None:
    """Print one tenant and its keys."""
    tenant, quota = record.tenant, record.tenant.quota
    per_key = quota.key_requests_per_second
    console.print(f"[bold]{escape(tenant.tenant_id)}[/] {escape(tenant.name)}", highlight=False)
    facts = {
        "status": tenant.status,
        "created": _moment(record.created_at),
        "changed": _moment(record.changed_at),
        "ip": tenant.privacy.ip,
        "user agent": tenant.privacy.user_agent,
        "quota": f"{quota.requests_per_second:g} requests/s, {quota.burst:,} at once"
        + ("" if per_key is None else f", {per_key:g} requests/s a key")
        + ", in each collector",
    }
    for name, value in facts.items():
        console.print(f"  {name:<12} {value}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("key", "id", "state", "made (UTC)", "ends (UTC)"):
        table.add_column(title, no_wrap=True)
    table.add_column("contracts")
    for one in keys:
        contracts = one.key.contracts
        table.add_row(
            escape(one.key.name), one.key.key_id, one.state(now), _moment(one.created_at),
            _moment(one.revoked_at or one.expires_at),
            "all" if contracts is None else escape(", ".join(sorted(contracts))),
        )  # fmt: skip
    console.print(table if keys else "  no keys")


def print_log(entries: Sequence[AuditEntry]) -> None:
    """Print one line a change."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("when (UTC)", "who", "tenant", "what"):
        table.add_column(title, no_wrap=True)
    table.add_column("particulars")
    for one in entries:
        particulars = ", ".join(
            f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
            for name, value in one.detail.items()
        )
        cells = (f"{one.at:%Y-%m-%d %H:%M:%S}", one.who, one.tenant_id, one.action, particulars)
        table.add_row(*map(escape, cells))
    console.print(table)


def record_document(record: TenantRecord) -> dict[str, Any]:
    """Return a tenant as plain JSON values."""
    return {
        **asdict(record.tenant),
        "created_at": record.created_at.isoformat(),
        "changed_at": record.changed_at.isoformat(),
    }


def key_document(record: KeyRecord, now: datetime) -> dict[str, Any]:
    """Return a key as plain JSON values."""
    contracts = record.key.contracts
    return {
        "key_id": record.key.key_id,
        "name": record.key.name,
        "state": record.state(now),
        "contracts": None if contracts is None else sorted(contracts),
        "created_at": record.created_at.isoformat(),
        "expires_at": None if record.expires_at is None else record.expires_at.isoformat(),
        "revoked_at": None if record.revoked_at is None else record.revoked_at.isoformat(),
    }


def entry_document(entry: AuditEntry) -> dict[str, Any]:
    """Return a change as plain JSON values."""
    return {**asdict(entry), "at": entry.at.isoformat()}


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
