"""Settings of ``serving``, from the environment or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from ingest.environment import EnvironmentSettings


class ServingSettings(EnvironmentSettings):
    """What leaves the lake, and where it goes."""

    publish: str = Field(default="fct_campaign_1m=results", validation_alias="LAKEWARD_PUBLISH")
    """Which tables of gold go to which topics, ``table=topic`` with commas between, or ``none``."""

    publish_positions: str = Field(
        default="lakeward.published", validation_alias="LAKEWARD_PUBLISH_POSITIONS"
    )
    """The compacted topic that says which version of a table a topic holds."""

    exporter_address: str = Field(
        default="127.0.0.1:9465", validation_alias="LAKEWARD_EXPORTER_ADDRESS"
    )
    """Where ``lakeward metrics`` serves ``/metrics``: ``host:port``. There is no login."""

    exporter_seconds: float = Field(
        default=30.0, ge=1, validation_alias="LAKEWARD_EXPORTER_SECONDS"
    )
    """How often it reads the tables."""

    dagster_url: str | None = Field(default=None, validation_alias="LAKEWARD_DAGSTER_URL")
    """Where Dagster's page is, for ``lakeward metrics`` to ask; unset: it is not asked."""


class SupersetSettings(EnvironmentSettings):
    """Where Superset is, and who syncs the dashboards."""

    superset_url: str | None = Field(default=None, validation_alias="LAKEWARD_SUPERSET_URL")
    """The address of a Superset that is not ``lakeward superset up``'s."""

    superset_user: str = Field(default="lakeward", validation_alias="LAKEWARD_SUPERSET_USER")
    """An administrator of that Superset, for ``lakeward superset sync``."""

    superset_password: SecretStr | None = Field(
        default=None, validation_alias="LAKEWARD_SUPERSET_PASSWORD"
    )
    """That administrator's password."""

    superset_port: int = Field(
        default=8088, ge=1, le=65535, validation_alias="LAKEWARD_SUPERSET_PORT"
    )
    """The port of ``lakeward superset up``, on this machine alone."""

    superset_environment: Path | None = Field(
        default=None, validation_alias="LAKEWARD_SUPERSET_ENVIRONMENT"
    )
    """The folder that Superset is installed into; default below the user's cache folder."""

    superset_python: str | None = Field(default=None, validation_alias="LAKEWARD_SUPERSET_PYTHON")
    """A Python 3.11 or 3.12 for it; default the one that runs lakeward."""
