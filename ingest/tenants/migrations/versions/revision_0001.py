"""Tenants, write keys, contract overlays, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and the triggers that keep the audit log whole."""
    op.create_table(
        "registry_revision",
        sa.Column("id", sa.Integer, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_revision")),
        sa.CheckConstraint("id = 1", name=op.f("ck_registry_revision_one_row")),
    )
    op.execute("insert into registry_revision (id, revision) values (1, 0)")
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.String(63)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("ip", sa.String(20), nullable=False),
        sa.Column("user_agent", sa.String(20), nullable=False),
        sa.Column("requests_per_second", sa.Float(53), nullable=False),
        sa.Column("burst", sa.Integer, nullable=False),
        sa.Column("key_requests_per_second", sa.Float(53)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
        sa.CheckConstraint(
            "status in ('pending', 'active', 'suspended', 'deprovisioned')",
            name=op.f("ck_tenants_status"),
        ),
    )
    op.create_table(
        "write_keys",
        sa.Column("key_id", sa.String(20)),
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("contracts", sa.JSON),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_write_keys")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_write_keys_tenant_id")
        ),
    )
    op.create_index(op.f("ix_write_keys_tenant_id"), "write_keys", ["tenant_id"])
    op.create_table(
        "contract_overlays",
        sa.Column("tenant_id", sa.String(63)),
        sa.Column("contract", sa.String(63)),
        sa.Column("version", sa.Integer, autoincrement=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("applied_at", MOMENT),
        sa.PrimaryKeyConstraint(
            "tenant_id", "contract", "version", name=op.f("pk_contract_overlays")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_contract_overlays_tenant_id")
        ),
    )
    op.create_table(
        "audit_log",
        sa.Column("entry_id", sa.Integer),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("tenant_id", sa.String(63), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_tenant_id"), "audit_log", ["tenant_id"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


APPEND_ONLY = {
    "sqlite": [
        f"""
        create trigger audit_log_no_{verb} before {verb} on audit_log
        begin select raise(abort, 'audit_log is append-only'); end
        """
        for verb in ("update", "delete")
    ],
    "postgresql": [
        """
        create function audit_log_is_append_only() returns trigger language plpgsql as $$
        begin raise exception 'audit_log is append-only'; end $$
        """,
        """
        create trigger audit_log_append_only before update or delete or truncate on audit_log
        for each statement execute function audit_log_is_append_only()
        """,
    ],
}
