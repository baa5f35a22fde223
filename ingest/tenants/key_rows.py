"""The rows of write keys: found by name or id, added, ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Set
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, update

from ingest.errors import TenantError
from ingest.tenants import reading
from ingest.tenants.model import Tenant
from ingest.tenants.reading import KeyRecord
from ingest.tenants.secret import NewSecret, new_secret
from ingest.tenants.tables import WRITE_KEYS

KEY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def insert_key(
    connection: Connection,
    random: Callable[[int], bytes],
    tenant_id: str,
    name: str,
    contracts: Set[str] | None,
    at: datetime,
) -> NewSecret:
    """Add a key, and return its secret, which is kept nowhere.

    Raises:
        TenantError: it can have no such name, or could send nothing.
    """
    if not KEY_NAME.fullmatch(name):
        raise TenantError(
            f"{name!r} cannot be the name of a key",
            hint="A name is letters, digits, '.', '-' and '_', at most 63.",
        )
    if contracts is not None and not contracts:
        raise TenantError("a key for no contract could send nothing")
    made = new_secret(random)
    connection.execute(
        insert(WRITE_KEYS).values(
            key_id=made.key_id,
            tenant_id=tenant_id,
            name=name,
            salt=made.hash.salt,
            digest=made.hash.digest,
            contracts=None if contracts is None else sorted(contracts),
            created_at=at,
        )
    )
    return made


def keys_named(connection: Connection, tenant: Tenant, name: str, now: datetime) -> list[KeyRecord]:
    """Return the keys of this name that are taken now, the newest first."""
    return [one for one in taken(connection, tenant, now) if one.key.name == name]


def the_key(connection: Connection, tenant: Tenant, name: str, now: datetime) -> KeyRecord:
    """Return the key of this id, or the newest of this name.

    Raises:
        TenantError: none that is taken has it.
    """
    there = taken(connection, tenant, now)
    for one in there:
        if name in (one.key.key_id, one.key.name):
            return one
    names = ", ".join(f"{one.key.name} ({one.key.key_id})" for one in there)
    raise TenantError(
        f"{tenant.tenant_id} has no key {name!r} that is taken",
        hint=f"Its keys: {names}." if names else "It has none that is.",
    )


def taken(connection: Connection, tenant: Tenant, now: datetime) -> list[KeyRecord]:
    """Return the keys that are taken now: those that nothing replaced first, then the newest."""
    there = [one for one in reading.keys(connection, tenant) if one.is_taken(now)]
    return sorted(there, key=lambda one: one.expires_at is not None)


def revoke(connection: Connection, key_ids: Iterable[str], at: datetime) -> None:
    """End these keys now."""
    statement = update(WRITE_KEYS).where(WRITE_KEYS.c.key_id.in_(list(key_ids)))
    connection.execute(statement.values(revoked_at=at))


def particulars_of(key_id: str, name: str, contracts: Set[str] | None) -> dict[str, Any]:
    """Return what the audit log says of a key."""
    allowed = None if contracts is None else sorted(contracts)
    return {"key_id": key_id, "name": name, "contracts": allowed}
