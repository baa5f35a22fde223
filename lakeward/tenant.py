"""What commands about one tenant have in common: its share of the lake, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.contracts.overlay import Overlay
    from lake.tables import Lake
    from lake.tenant_share import TenantShare


def share_for(lake: Lake, tenant_id: str, *, must_be_known: bool = False) -> TenantShare:
    """Return what a tenant sees, and say so when that is no row.

    Raises:
        TenantError: it must be known and is not: it is not registered, and has no rows.
    """
    from ingest.settings import IngestSettings
    from ingest.tenants.access import is_there, open_registry
    from ingest.tenants.overlays import OverlayRegistry
    from lake.tenant_share import share_of
    from lakeward.console import errors

    ingest = IngestSettings()
    shown = {}
    if is_there(ingest):
        shown = OverlayRegistry(open_registry(ingest).database).shown(tenant_id)
    share = with_overlays(share_of(lake, tenant_id), shown)
    if not share.has_rows:
        if must_be_known:
            _require_known(lake, tenant_id)
        errors.print(
            f"no table of silver or gold has a row of the tenant {tenant_id!r}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return share


def _require_known(lake: Lake, tenant_id: str) -> None:
    """Refuse an id that is nobody's: most likely it is mistyped."""
    from ingest.errors import TenantError
    from ingest.settings import IngestSettings
    from serving.superset.tenants import known_tenants

    known = known_tenants(IngestSettings(), lake)
    if tenant_id not in known:
        raise TenantError(
            f"no tenant {tenant_id!r} is registered, and no table has a row of it",
            hint=f"Tenants: {', '.join(known) or 'none so far'}. For one that is yet to come: "
            "--force.",
        )


def with_overlays(share: TenantShare, overlays: Mapping[str, Overlay]) -> TenantShare:
    """Return a share that also shows the fields of overlays, by contract."""
    from dataclasses import replace

    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.overlay_sql import computed_columns

    if not overlays:
        return share
    contracts = {one.name: one for one in load_contracts(IngestSettings().contracts_dir)}
    columns = {table.name: table.columns for table in share.tables if table.layer == "silver"}
    return replace(share, computed=computed_columns(overlays, contracts, columns))


def user_of(named: str | None) -> str:
    """Return whom the audit log names: ``named``, or the user of this system."""
    import getpass
    import os

    return named or os.environ.get("SUDO_USER") or getpass.getuser()
