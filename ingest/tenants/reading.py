"""Rows of the registry read into what the rest of lakeward knows them as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from ingest.errors import TenantError
from ingest.tenants.model import Privacy, Quota, Tenant, WriteKey
from ingest.tenants.secret import SecretHash
from ingest.tenants.snapshot import Snapshot, StoredKey
from ingest.tenants.tables import AUDIT_LOG, REVISION, TENANTS, WRITE_KEYS

KeyState = Literal["valid", "ending", "ended", "revoked"]


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant, and since when it is what it is (UTC)."""

    tenant: Tenant
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A write key and its life (UTC); nothing of its secret."""

    key: WriteKey
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> KeyState:
        """Return whether it is taken; ``ending``: until ``expires_at``, another replaced it."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is None:
            return "valid"
        return "ending" if now < self.expires_at else "ended"

    def is_taken(self, now: datetime) -> bool:
        """True while who has its secret is let in."""
        return self.state(now) in ("valid", "ending")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: when (UTC), by whom, what, of which tenant, with which particulars."""

    entry_id: int
    at: datetime
    who: str
    action: str
    tenant_id: str
    detail: Mapping[str, Any]


def revision(connection: Connection) -> int:
    """Return the number that grows with each change."""
    return connection.execute(select(REVISION.c.revision)).scalar_one()


def tenants(connection: Connection, tenant_id: str | None = None) -> list[TenantRecord]:
    """Return the tenants by id, or the one of this id."""
    query = select(TENANTS).order_by(TENANTS.c.tenant_id)
    if tenant_id is not None:
        query = query.where(TENANTS.c.tenant_id == tenant_id)
    return [
        TenantRecord(_tenant(row), row.created_at, row.changed_at)
        for row in connection.execute(query)
    ]


def tenant(connection: Connection, tenant_id: str) -> TenantRecord:
    """Return one tenant.

    Raises:
        TenantError: there is none of this id.
    """
    found = tenants(connection, tenant_id)
    if not found:
        known = [one.tenant.tenant_id for one in tenants(connection)]
        raise TenantError(
            f"there is no tenant {tenant_id!r}",
            hint=f"Tenants: {', '.join(known)}." if known else "None was ever registered.",
        )
    return found[0]


def living_tenant(connection: Connection, tenant_id: str) -> Tenant:
    """Return a tenant that can be changed.

    Raises:
        TenantError: there is none of this id, or it is deprovisioned.
    """
    found = tenant(connection, tenant_id).tenant
    if found.status == "deprovisioned":
        raise TenantError(
            f"{tenant_id} is deprovisioned, and nothing of it can be changed any more",
            hint="`lakeward tenant create` makes a new tenant, with another id.",
        )
    return found


def keys(connection: Connection, tenant: Tenant) -> list[KeyRecord]:
    """Return a tenant's keys, the newest first."""
    query = (
        select(WRITE_KEYS)
        .where(WRITE_KEYS.c.tenant_id == tenant.tenant_id)
        .order_by(WRITE_KEYS.c.created_at.desc(), WRITE_KEYS.c.key_id)
    )
    return [
        KeyRecord(_key(row, tenant), row.created_at, row.expires_at, row.revoked_at)
        for row in connection.execute(query)
    ]


def audit_entries(
    connection: Connection, tenant_id: str | None, newest: int | None
) -> list[AuditEntry]:
    """Return what was changed, the oldest first; of all of it the ``newest`` entries."""
    query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.entry_id.desc())
    if tenant_id is not None:
        query = query.where(AUDIT_LOG.c.tenant_id == tenant_id)
    if newest is not None:
        query = query.limit(newest)
    rows = list(connection.execute(query))
    return [AuditEntry(**row._mapping) for row in reversed(rows)]


def snapshot(connection: Connection, known: Snapshot | None) -> Snapshot:
    """Return everything that is looked up; ``known`` itself when nothing has changed since."""
    now = revision(connection)
    if known is not None and known.revision == now:
        return known
    found = {one.tenant.tenant_id: one.tenant for one in tenants(connection)}
    return Snapshot(now, found, dict(_stored_keys(connection, found)))


def _stored_keys(
    connection: Connection, tenants: Mapping[str, Tenant]
) -> Iterator[tuple[str, StoredKey]]:
    for row in connection.execute(select(WRITE_KEYS).where(WRITE_KEYS.c.revoked_at.is_(None))):
        key = _key(row, tenants[row.tenant_id])
        yield key.key_id, StoredKey(key, SecretHash(row.salt, row.digest), row.expires_at)


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        row.tenant_id,
        row.name,
        row.status,
        Privacy(row.ip, row.user_agent),
        Quota(row.requests_per_second, row.burst, row.key_requests_per_second),
    )


def _key(row: Row[Any], tenant: Tenant) -> WriteKey:
    contracts = None if row.contracts is None else frozenset(row.contracts)
    return WriteKey(row.key_id, row.name, tenant, contracts)
