"""The registry of tenants: each change is one transaction with its entry in the audit log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, update

from ingest.errors import TenantError
from ingest.tenants import reading
from ingest.tenants.database import Database
from ingest.tenants.key_rows import insert_key, keys_named, particulars_of, revoke, the_key
from ingest.tenants.model import Privacy, Quota, Status, Tenant
from ingest.tenants.reading import AuditEntry, KeyRecord, TenantRecord
from ingest.tenants.secret import NewSecret
from ingest.tenants.snapshot import Snapshot
from ingest.tenants.tables import AUDIT_LOG, REVISION, TENANTS, WRITE_KEYS

TENANT_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LONGEST: Final = 200
"""Characters of a tenant's name, and of who changed something."""
FIRST_KEY: Final = "default"
GRACE: Final = timedelta(days=7)

ALLOWED: Final[Mapping[Status, frozenset[Status]]] = {
    "pending": frozenset({"active", "deprovisioned"}),
    "active": frozenset({"suspended"}),
    "suspended": frozenset({"active", "deprovisioned"}),
    "deprovisioned": frozenset(),
}
"""What may follow a status. An active tenant has to be suspended before its rows are deleted, or
new ones would come in meanwhile."""


class Registry:
    """Tenants and their write keys, kept in a database. Safe to use from several processes."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Take the database; ``random`` gives so many random bytes for a secret."""
        self.database = database
        self._now = now
        self._random = random

    def tenants(self) -> list[TenantRecord]:
        """Return every tenant, by id."""
        with self.database.reading() as connection:
            return reading.tenants(connection)

    def tenant(self, tenant_id: str) -> TenantRecord:
        """Return one tenant.

        Raises:
            TenantError: there is none of this id.
        """
        with self.database.reading() as connection:
            return reading.tenant(connection, tenant_id)

    def keys(self, tenant_id: str) -> list[KeyRecord]:
        """Return a tenant's keys, the newest first.

        Raises:
            TenantError: there is no tenant of this id.
        """
        with self.database.reading() as connection:
            return reading.keys(connection, reading.tenant(connection, tenant_id).tenant)

    def log(self, tenant_id: str | None = None, newest: int | None = None) -> list[AuditEntry]:
        """Return what was changed, the oldest first: of all of it, the ``newest`` entries."""
        with self.database.reading() as connection:
            return reading.audit_entries(connection, tenant_id, newest)

    def read(self, known: Snapshot | None) -> Snapshot:
        """Return everything that is looked up; ``known`` itself when nothing has changed."""
        with self.database.reading() as connection:
            return reading.snapshot(connection, known)

    def create(
        self,
        tenant_id: str,
        name: str | None = None,
        *,
        who: str,
        status: Status = "active",
        privacy: Privacy | None = None,
        quota: Quota | None = None,
    ) -> Tenant:
        """Add a tenant; it has no key yet.

        Raises:
            TenantError: the id is taken or is none, or a number makes no sense.
        """
        if not TENANT_ID.fullmatch(tenant_id):
            raise TenantError(
                f"{tenant_id!r} cannot be the id of a tenant",
                hint="An id is lower-case letters, digits, '-' and '_', beginning with a letter or "
                "digit, at most 63: it is a folder's name in the lake.",
            )
        if status not in ("pending", "active"):
            raise TenantError(f"a new tenant is pending or active, not {status}")
        tenant = Tenant(
            tenant_id,
            _fit(name or tenant_id),
            status,
            privacy or Privacy(),
            _sound(quota or Quota()),
        )
        with self._changing(tenant_id, who) as (connection, at, note):
            if reading.tenants(connection, tenant_id):
                raise TenantError(
                    f"there is a tenant {tenant_id} already",
                    hint="Ids are never given twice, not even after deprovisioning: the audit log "
                    "would speak of two tenants.",
                )
            row = _columns(tenant)
            connection.execute(insert(TENANTS).values(**row, created_at=at, changed_at=at))
            note("create", _particulars(tenant))
        return tenant

    def add_key(
        self,
        tenant_id: str,
        name: str = FIRST_KEY,
        *,
        who: str,
        contracts: Set[str] | None = None,
    ) -> NewSecret:
        """Give a tenant one more key; its secret is known now and never again.

        Args:
            tenant_id: whose key.
            name: what people call it.
            who: changes this.
            contracts: whose events it may send; None: of every contract.

        Raises:
            TenantError: the tenant is not there or deprovisioned, or has a key of this name.
        """
        with self._changing(tenant_id, who) as (connection, at, note):
            tenant = reading.living_tenant(connection, tenant_id)
            if keys_named(connection, tenant, name, at):
                raise TenantError(
                    f"{tenant_id} has a key named {name!r} already",
                    hint="Give it another name, or replace that one: `lakeward tenant rotate-key`.",
                )
            made = insert_key(connection, self._random, tenant_id, name, contracts, at)
            note("add-key", particulars_of(made.key_id, name, contracts))
        return made

    def rotate_key(
        self, tenant_id: str, name: str, *, who: str, grace: timedelta = GRACE
    ) -> NewSecret:
        """Replace a key by one of the same name and contracts; the old one goes on for ``grace``.

        Raises:
            TenantError: there is no such key that could be replaced.
        """
        if grace < timedelta(0):
            raise TenantError("a grace period cannot be negative")
        with self._changing(tenant_id, who) as (connection, at, note):
            tenant = reading.living_tenant(connection, tenant_id)
            old = the_key(connection, tenant, name, at)
            if old.expires_at is not None:
                raise TenantError(
                    f"the key {old.key.key_id} was replaced already, and ends at "
                    f"{old.expires_at:%Y-%m-%d %H:%M} UTC",
                    hint=f"rotate-key {old.key.name} replaces the newer one; revoke-key "
                    f"{old.key.key_id} ends this one now.",
                )
            key = old.key
            made = insert_key(connection, self._random, tenant_id, key.name, key.contracts, at)
            ends = at + grace
            connection.execute(
                update(WRITE_KEYS).where(WRITE_KEYS.c.key_id == key.key_id).values(expires_at=ends)
            )
            particulars = particulars_of(made.key_id, key.name, key.contracts)
            note(
                "rotate-key",
                {**particulars, "replaces": key.key_id, "old_ends_at": ends.isoformat()},
            )
        return made

    def revoke_key(self, tenant_id: str, name: str, *, who: str) -> list[str]:
        """End a key now; return the ids of those that were.

        Args:
            tenant_id: whose key.
            name: its id, or its name, which also means those that it replaced.
            who: changes this.

        Raises:
            TenantError: there is no such key that is taken.
        """
        with self._changing(tenant_id, who) as (connection, at, note):
            tenant = reading.tenant(connection, tenant_id).tenant
            found = keys_named(connection, tenant, name, at) or [
                the_key(connection, tenant, name, at)
            ]
            ids = [one.key.key_id for one in found]
            revoke(connection, ids, at)
            note("revoke-key", {"key_ids": ids, "name": found[0].key.name})
        return ids

    def set(
        self,
        tenant_id: str,
        *,
        who: str,
        name: str | None = None,
        privacy: Mapping[str, Any] | None = None,
        quota: Mapping[str, Any] | None = None,
    ) -> Tenant:
        """Change what is given: fields of ``Privacy`` and ``Quota`` by name; leave the rest.

        Raises:
            TenantError: the tenant is not there or deprovisioned, or a number makes no sense.
        """
        with self._changing(tenant_id, who) as (connection, at, note):
            old = reading.living_tenant(connection, tenant_id)
            new = replace(
                old,
                name=old.name if name is None else _fit(name),
                privacy=replace(old.privacy, **(privacy or {})),
                quota=_sound(replace(old.quota, **(quota or {}))),
            )
            before, after = _columns(old), _columns(new)
            changed = {column: after[column] for column in after if after[column] != before[column]}
            if not changed:
                raise TenantError(
                    f"nothing of {tenant_id} would change",
                    hint="`lakeward tenant set --help` lists what can be set, "
                    f"`lakeward tenant show {tenant_id}` what is.",
                )
            _update(connection, tenant_id, at, **changed)
            note("set", {"from": {column: before[column] for column in changed}, "to": changed})
        return new

    def activate(self, tenant_id: str, *, who: str) -> None:
        """Let the events of a pending tenant in.

        Raises:
            TenantError: it is not pending.
        """
        self._move(tenant_id, {"pending"}, "active", "activate", who)

    def suspend(self, tenant_id: str, *, who: str, reason: str | None = None) -> None:
        """Keep a tenant's events out; its rows and keys stay.

        Raises:
            TenantError: it is not active.
        """
        detail = {} if reason is None else {"reason": reason}
        self._move(tenant_id, {"active"}, "suspended", "suspend", who, detail)

    def resume(self, tenant_id: str, *, who: str) -> None:
        """Let the events of a suspended tenant in again.

        Raises:
            TenantError: it is not suspended.
        """
        self._move(tenant_id, {"suspended"}, "active", "resume", who)

    def deprovision(self, tenant_id: str, certificate: Mapping[str, Any], who: str) -> None:
        """Note that a tenant's rows were deleted, with the certificate; end its keys for good.

        Raises:
            TenantError: it is active, so that new rows may have come in, or is deprovisioned.
        """
        with self._changing(tenant_id, who) as (connection, at, note):
            tenant = reading.tenant(connection, tenant_id).tenant
            _require(tenant, {"pending", "suspended"}, "deprovisioned")
            _update(connection, tenant_id, at, status="deprovisioned")
            live = [one for one in reading.keys(connection, tenant) if one.revoked_at is None]
            ids = [one.key.key_id for one in live]
            revoke(connection, ids, at)
            note(
                "deprovision",
                {"from": tenant.status, "revoked": ids, "certificate": dict(certificate)},
            )

    def _move(
        self,
        tenant_id: str,
        sources: Set[Status],
        target: Status,
        action: str,
        who: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        with self._changing(tenant_id, who) as (connection, at, note):
            tenant = reading.tenant(connection, tenant_id).tenant
            _require(tenant, sources, target)
            _update(connection, tenant_id, at, status=target)
            note(action, {"from": tenant.status, "to": target, **(detail or {})})

    @contextmanager
    def _changing(
        self, tenant_id: str, who: str
    ) -> Iterator[tuple[Connection, datetime, Callable[[str, Mapping[str, Any]], None]]]:
        """A transaction that no other change runs beside; what it does has to be noted."""
        with self.database.changing() as connection:
            connection.execute(update(REVISION).values(revision=REVISION.c.revision + 1))
            at = self._now()

            def note(action: str, detail: Mapping[str, Any]) -> None:
                connection.execute(
                    insert(AUDIT_LOG).values(
                        at=at,
                        who=who[:LONGEST],
                        action=action,
                        tenant_id=tenant_id,
                        detail=dict(detail),
                    )
                )

            yield connection, at, note


def _require(tenant: Tenant, sources: Set[Status], target: Status) -> None:
    if tenant.status in sources:
        assert target in ALLOWED[tenant.status]
        return
    verbs = {"active": "activate" if tenant.status == "pending" else "resume"}
    verbs |= {"suspended": "suspend", "deprovisioned": "deprovision"}
    following = ", ".join(
        f"{status} (`lakeward tenant {verbs[status]}`)" for status in sorted(ALLOWED[tenant.status])
    )
    raise TenantError(
        f"{tenant.tenant_id} is {tenant.status}, not {' or '.join(sorted(sources))}",
        hint=f"From {tenant.status} it can become {following or 'nothing'}.",
    )


def _update(connection: Connection, tenant_id: str, at: datetime, **columns: Any) -> None:
    statement = update(TENANTS).where(TENANTS.c.tenant_id == tenant_id)
    connection.execute(statement.values(**columns, changed_at=at))


def _fit(name: str) -> str:
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise TenantError(
            "a tenant's name is some text in one line",
            hint=f"At most {LONGEST} characters that can be printed.",
        )
    return name


def _sound(quota: Quota) -> Quota:
    per_key = quota.key_requests_per_second
    if quota.requests_per_second <= 0 or quota.burst < 1 or (per_key is not None and per_key <= 0):
        raise TenantError(
            "a quota is a positive number of requests",
            hint="`lakeward tenant suspend` keeps a tenant's events out.",
        )
    return quota


def _columns(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "status": tenant.status,
        **asdict(tenant.privacy),
        **asdict(tenant.quota),
    }


def _particulars(tenant: Tenant) -> dict[str, Any]:
    return {name: value for name, value in _columns(tenant).items() if name != "tenant_id"}
