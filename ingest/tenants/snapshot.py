"""The registry at one moment, as it is looked up: no secret, no way back to the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ingest.tenants.model import Tenant, WriteKey
from ingest.tenants.secret import SecretHash


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A write key that was not revoked, and how its secret is recognised."""

    key: WriteKey
    hash: SecretHash
    expires_at: datetime | None
    """When it ends by itself (UTC): a key that was rotated has so long to be replaced."""

    def is_valid(self, now: datetime) -> bool:
        """True while it has not ended."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every tenant by its id, and every key by its own."""

    revision: int | None
    """Grows with each change; None: there is no registry."""

    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    keys: Mapping[str, StoredKey] = field(default_factory=dict)

    def known_tenants(self) -> frozenset[str] | None:
        """Return whose events are taken; None when no tenant was ever registered."""
        if not self.tenants:
            return None
        return frozenset(one.tenant_id for one in self.tenants.values() if one.may_send)
