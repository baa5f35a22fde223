"""Which tenants need a role: those of the registry, and those that have rows."""

from __future__ import annotations

from typing import Final

from ingest.settings import IngestSettings
from ingest.tenants.access import is_there, open_registry
from lake.read import LakeReader
from lake.tables import Lake

_WITH_ROWS: Final = "gold", "rpt_freshness"
"""The smallest table that names every tenant with events."""


def known_tenants(ingest: IngestSettings, lake: Lake) -> list[str]:
    """Return their ids, sorted.

    Raises:
        RegistryError: the registry cannot be read.
        QueryError: the lake cannot.
    """
    found = set()
    if is_there(ingest):
        found = {one.tenant.tenant_id for one in open_registry(ingest).tenants()}
    if lake.exists(*_WITH_ROWS):
        with LakeReader(lake) as reader:
            table = reader.table(f"select distinct tenant_id from {'.'.join(_WITH_ROWS)}")
        found |= {str(one) for one in table.column(0).to_pylist()}
    return sorted(found)
