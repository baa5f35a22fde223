"""What one tenant may see of the lake: its own partitions of silver and gold.

Silver and gold are partitioned by tenant, so a tenant's rows lie in folders of their own, and a
session that may open no other file cannot read anybody else's row whatever its SQL is (ADR 056).
Bronze, the dead letters, ``ops`` and tables whose files tenants share are therefore left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

import pyarrow as pa
from deltalake.exceptions import DeltaError

from ingest.contracts.exact import TENANT
from lake.duck import quote_name, quote_text
from lake.tables import Lake, Layer

SHARED: tuple[Layer, ...] = ("silver", "gold")


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table of which a tenant sees its rows."""

    layer: Layer
    name: str
    folders: tuple[str, ...]
    """Where the tenant's files are, each ending with a slash."""
    has_rows: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotShared:
    """A table of silver or gold that a tenant does not see, and why."""

    layer: Layer
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TenantShare:
    """The tables that one tenant sees."""

    tenant_id: str
    tables: tuple[SharedTable, ...]
    not_shared: tuple[NotShared, ...]
    computed: Mapping[str, Mapping[str, str]]
    """By the name of a silver table, columns that are computed for this tenant: name and SQL."""

    @property
    def folders(self) -> list[str]:
        """Every folder that a session of the tenant may read."""
        return [folder for table in self.tables for folder in table.folders]

    @property
    def has_rows(self) -> bool:
        """True when the tenant has rows in some table."""
        return any(table.has_rows for table in self.tables)

    def select(self, table: SharedTable, scan: str) -> str:
        """Return the SQL of the tenant's view of a table, which ``scan`` reads."""
        computed = self.computed.get(table.name, {}) if table.layer == "silver" else {}
        more = "".join(
            f", {sql} as {quote_name(name)}"
            for name, sql in computed.items()
            if name not in table.columns
        )
        return f"select *{more} from {scan} where {TENANT} = {quote_text(self.tenant_id)}"


def share_of(
    lake: Lake, tenant_id: str, computed: Mapping[str, Mapping[str, str]] | None = None
) -> TenantShare:
    """Return what ``tenant_id`` sees of ``lake``."""
    tables: list[SharedTable] = []
    not_shared: list[NotShared] = []
    for layer in SHARED:
        for name in lake.names(layer):
            try:
                found = _table(lake, layer, name, tenant_id)
            except (DeltaError, OSError) as error:
                reason = f"it cannot be read: {str(error).strip().splitlines()[0]}"
                found = NotShared(layer, name, reason)
            if isinstance(found, SharedTable):
                tables.append(found)
            else:
                not_shared.append(found)
    return TenantShare(tenant_id, tuple(tables), tuple(not_shared), computed or {})


def _table(lake: Lake, layer: Layer, name: str, tenant_id: str) -> SharedTable | NotShared:
    table = lake.open(layer, name)
    partitions: Sequence[str] = table.metadata().partition_columns
    if not partitions or partitions[0] != TENANT:
        return NotShared(layer, name, "its files hold rows of several tenants")
    files = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    mine = {
        unquote(file["path"]).split("/")[0]
        for file in files
        if file[f"partition.{TENANT}"] == tenant_id
    }
    # what a partition that is yet to come will be called; the same, for an id that needs no escape
    folders = mine | {f"{TENANT}={quote(tenant_id, safe='')}"}
    root = lake.uri(layer, name)
    columns = tuple(field.name for field in table.schema().fields)
    inside = tuple(f"{root}/{folder}/" for folder in sorted(folders))
    return SharedTable(layer, name, inside, bool(mine), columns)
