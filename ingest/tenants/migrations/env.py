"""Alembic's way in: it runs this file with a connection that ``database`` hands it."""

from __future__ import annotations

from alembic import context

from ingest.tenants.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="registry_version",
)
context.run_migrations()
