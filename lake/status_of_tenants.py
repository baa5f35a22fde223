"""How many tenants there are of each status, if there is a registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.errors import RegistryError
from ingest.settings import IngestSettings
from ingest.tenants.access import is_there, open_registry


@dataclass(frozen=True, slots=True)
class TenantSide:
    """What the registry says, or why it says nothing."""

    by_status: Mapping[str, int] = field(default_factory=dict)
    """Empty where no tenant was ever registered."""
    trouble: RegistryError | None = None


def look_at_tenants(ingest: IngestSettings) -> TenantSide:
    """Count the tenants; a registry that is away is a trouble, not an error."""
    try:
        found = open_registry(ingest).tenants() if is_there(ingest) else []
    except RegistryError as error:
        return TenantSide(trouble=error)
    return TenantSide(Counter(one.tenant.status for one in found))
