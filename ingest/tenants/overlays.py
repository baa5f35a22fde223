"""Overlays in the registry: every version of what a tenant has added to a contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from ingest.contracts.overlay import Overlay, OverlayField
from ingest.tenants.reading import living_tenant
from ingest.tenants.registry import Registry
from ingest.tenants.tables import CONTRACT_OVERLAYS


@dataclass(frozen=True, slots=True)
class OverlayRecord:
    """One version, and its life (UTC)."""

    tenant_id: str
    overlay: Overlay
    created_at: datetime
    applied_at: datetime | None
    """When it was found to work on the tenant's views, which show it since; None: not yet."""


class OverlayRegistry(Registry):
    """The registry, for who changes overlays. Each change is in the audit log as well."""

    def overlays(self, tenant_id: str, contract: str | None = None) -> list[OverlayRecord]:
        """Return every version of a tenant's overlays, by contract, oldest first."""
        with self.database.reading() as connection:
            return _records(connection, tenant_id, contract)

    def shown(self, tenant_id: str) -> dict[str, Overlay]:
        """Return the newest version that was applied, by contract."""
        records = self.overlays(tenant_id)
        return {one.overlay.contract: one.overlay for one in records if one.applied_at is not None}

    def newest(self, tenant_id: str, contract: str) -> Overlay | None:
        """Return the newest version, applied or not."""
        records = self.overlays(tenant_id, contract)
        return records[-1].overlay if records else None

    def change(
        self,
        tenant_id: str,
        contract: str,
        make: Callable[[Overlay | None], Overlay],
        *,
        who: str,
    ) -> Overlay:
        """Record the version that ``make`` gives for the newest one.

        Raises:
            TenantError: there is no such tenant, or it is deprovisioned.
            ContractError: of ``make``.
        """
        with self._changing(tenant_id, who) as (connection, at, note):
            living_tenant(connection, tenant_id)  # or it says why nothing can be changed
            records = _records(connection, tenant_id, contract)
            made = make(records[-1].overlay if records else None)
            fields = [field.as_document() for field in made.fields]
            connection.execute(
                insert(CONTRACT_OVERLAYS).values(
                    tenant_id=tenant_id,
                    contract=contract,
                    version=made.version,
                    fields=fields,
                    created_at=at,
                )
            )
            note("overlay", {"contract": contract, "version": made.version, "fields": fields})
        return made

    def applied(self, tenant_id: str, overlay: Overlay, *, who: str) -> None:
        """Note that the tenant's views show a version."""
        table = CONTRACT_OVERLAYS
        with self._changing(tenant_id, who) as (connection, at, note):
            connection.execute(
                update(table)
                .where(
                    table.c.tenant_id == tenant_id,
                    table.c.contract == overlay.contract,
                    table.c.version == overlay.version,
                    table.c.applied_at.is_(None),
                )
                .values(applied_at=at)
            )
            note("apply-overlay", {"contract": overlay.contract, "version": overlay.version})


def _records(connection: Connection, tenant_id: str, contract: str | None) -> list[OverlayRecord]:
    table = CONTRACT_OVERLAYS
    query = (
        select(table)
        .where(table.c.tenant_id == tenant_id)
        .order_by(table.c.contract, table.c.version)
    )
    if contract is not None:
        query = query.where(table.c.contract == contract)
    return [_record(row) for row in connection.execute(query)]


def _record(row: Row[tuple[object, ...]]) -> OverlayRecord:
    fields = tuple(map(OverlayField.of_document, row.fields))
    overlay = Overlay(row.contract, row.version, fields)
    return OverlayRecord(row.tenant_id, overlay, row.created_at, row.applied_at)
