"""The registry's tables; ``migrations`` makes them, and a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import TypeDecorator

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put on again when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Take only moments that say their zone."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return it in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


REVISION = Table(
    "registry_revision",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""One row. Each change takes it first, so changes come one after another, and adds one to it, so
that who reads the registry over and over knows when nothing is new."""

TENANTS = Table(
    "tenants",
    METADATA,
    Column("tenant_id", String(63), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("status", String(20), nullable=False),
    Column("ip", String(20), nullable=False),
    Column("user_agent", String(20), nullable=False),
    Column("requests_per_second", Float(53), nullable=False),
    Column("burst", Integer, nullable=False),
    Column("key_requests_per_second", Float(53)),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    CheckConstraint("status in ('pending', 'active', 'suspended', 'deprovisioned')", name="status"),
)

WRITE_KEYS = Table(
    "write_keys",
    METADATA,
    Column("key_id", String(20), primary_key=True),
    Column("tenant_id", ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("name", String(63), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("contracts", JSON(none_as_null=True)),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)
"""``contracts``: a list of names, or null for every contract. ``expires_at``: when a key that was
rotated ends."""

CONTRACT_OVERLAYS = Table(
    "contract_overlays",
    METADATA,
    Column("tenant_id", ForeignKey("tenants.tenant_id"), primary_key=True),
    Column("contract", String(63), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("fields", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("applied_at", Moment),
)
"""A tenant's own fields of a contract. ``applied_at``: when its views got the columns."""

AUDIT_LOG = Table(
    "audit_log",
    METADATA,
    Column("entry_id", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("who", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("tenant_id", String(63), nullable=False, index=True),
    Column("detail", JSON, nullable=False),
)
"""Every change. Triggers keep it from being changed or shortened by an ordinary statement."""
