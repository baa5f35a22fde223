"""What commands about one tenant have in common: its share of the lake, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.tables import Lake
    from lake.tenant_share import TenantShare


def share_for(lake: Lake, tenant_id: str) -> TenantShare:
    """Return what a tenant sees, and say so when that is no row."""
    from lake.tenant_share import share_of
    from lakeward.console import errors

    share = share_of(lake, tenant_id)
    if not share.has_rows:
        errors.print(
            f"no table of silver or gold has a row of the tenant {tenant_id!r}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return share


def user_of(named: str | None) -> str:
    """Return whom the audit log names: ``named``, or the user of this system."""
    import getpass
    import os

    return named or os.environ.get("SUDO_USER") or getpass.getuser()
