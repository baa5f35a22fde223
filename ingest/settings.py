"""Settings of ``ingest``, from the environment or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """Where events come from and which broker carries them.

    ``LAKEWARD_*`` variables are lakeward's own; the ``KAFKA_*`` ones are passed to librdkafka.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        env_prefix="LAKEWARD_",  # or the field `home` would also be read from HOME
        populate_by_name=True,
    )

    home: Path = Field(default=Path("data"), validation_alias="LAKEWARD_HOME")
    """Folder for everything lakeward keeps on this machine."""

    contracts_dir: Path | None = Field(default=None, validation_alias="LAKEWARD_CONTRACTS_DIR")
    """A folder with your own ``*.odcs.yaml`` contracts, read beside the shipped ones."""

    tenant_registry: SecretStr | None = Field(
        default=None, validation_alias="LAKEWARD_TENANT_REGISTRY"
    )
    """Address of the registry of tenants, ``postgresql://user@host/database`` or
    ``sqlite:///file``; default ``<home>/tenants.db``. It may hold a password: never logged."""

    bootstrap_servers: str | None = Field(default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    """A Kafka cluster, ``host:port[,host:port]``; unset means the embedded broker."""

    security_protocol: str | None = Field(default=None, validation_alias="KAFKA_SECURITY_PROTOCOL")
    sasl_mechanism: str | None = Field(default=None, validation_alias="KAFKA_SASL_MECHANISM")
    sasl_username: str | None = Field(default=None, validation_alias="KAFKA_SASL_USERNAME")
    sasl_password: SecretStr | None = Field(default=None, validation_alias="KAFKA_SASL_PASSWORD")
    ssl_ca_location: Path | None = Field(default=None, validation_alias="KAFKA_SSL_CA_LOCATION")
    ssl_certificate_location: Path | None = Field(
        default=None, validation_alias="KAFKA_SSL_CERTIFICATE_LOCATION"
    )
    ssl_key_location: Path | None = Field(default=None, validation_alias="KAFKA_SSL_KEY_LOCATION")
    topic_partitions: int = Field(default=3, ge=1, validation_alias="LAKEWARD_TOPIC_PARTITIONS")
    """Partitions of a topic that lakeward has to make itself."""

    topic_replication: int = Field(default=1, ge=1, validation_alias="LAKEWARD_TOPIC_REPLICATION")
    """Replicas of a topic that lakeward has to make itself."""

    extra_config: str | None = Field(default=None, validation_alias="KAFKA_EXTRA_CONFIG")
    """More librdkafka properties as one JSON object, e.g. ``{"client.rack": "eu-1a"}``."""
