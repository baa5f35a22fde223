"""Settings of ``ingest``, from the environment or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from ingest.environment import EnvironmentSettings


class IngestSettings(EnvironmentSettings):
    """Where events come from and which broker carries them.

    ``LAKEWARD_*`` variables are lakeward's own; the ``KAFKA_*`` ones are passed to librdkafka.
    """

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


class CollectorSettings(EnvironmentSettings):
    """How ``lakeward collect`` takes events by HTTP, and how much it takes."""

    model_config = SettingsConfigDict(env_prefix="LAKEWARD_COLLECTOR_")

    address: str = Field(default="127.0.0.1:8080", validation_alias="LAKEWARD_COLLECTOR_ADDRESS")
    """Where it listens: ``host:port``, or ``:port`` for every address of the machine."""

    public_url: str | None = Field(default=None, validation_alias="LAKEWARD_COLLECTOR_PUBLIC_URL")
    """The address that browsers reach it by, when that is not the Host of their requests."""

    registry_max_age_seconds: float = Field(
        default=3600.0, ge=10, validation_alias="LAKEWARD_COLLECTOR_REGISTRY_MAX_AGE_SECONDS"
    )
    """How long events are taken by the copy of the registry while its database is away."""

    trusted_proxies: str = Field(default="", validation_alias="LAKEWARD_COLLECTOR_TRUSTED_PROXIES")
    """Addresses or networks of proxies whose X-Forwarded-For and -Proto hold, comma separated."""

    cors_origins: str = Field(default="*", validation_alias="LAKEWARD_COLLECTOR_CORS_ORIGINS")
    """Origins of web pages that may send events, comma separated; ``*`` for any."""

    spill_dir: Path | None = Field(default=None, validation_alias="LAKEWARD_COLLECTOR_SPILL_DIR")
    """Folder for events while Kafka is away; one for each process."""

    spill_bytes: int = Field(
        default=1024**3, ge=0, validation_alias="LAKEWARD_COLLECTOR_SPILL_BYTES"
    )
    """How much the folder may hold; 0 keeps nothing, and answers 503 while Kafka is away."""

    kafka_seconds: float = Field(
        default=5.0, ge=0.5, validation_alias="LAKEWARD_COLLECTOR_KAFKA_SECONDS"
    )
    """How long Kafka may take to acknowledge before an event goes to the spill."""

    max_body_bytes: int = Field(
        default=2 * 1024**2, ge=1024, validation_alias="LAKEWARD_COLLECTOR_MAX_BODY_BYTES"
    )
    """The largest body of a request, packed or unpacked."""

    max_batch: int = Field(default=2_500, ge=1, validation_alias="LAKEWARD_COLLECTOR_MAX_BATCH")
    """The most events in a request."""

    max_event_bytes: int = Field(
        default=256 * 1024,
        ge=1024,
        le=900_000,
        validation_alias="LAKEWARD_COLLECTOR_MAX_EVENT_BYTES",
    )
    """The largest event, as it goes to Kafka."""

    max_depth: int = Field(
        default=32, ge=2, le=120, validation_alias="LAKEWARD_COLLECTOR_MAX_DEPTH"
    )
    """Objects and lists inside each other in an event."""

    max_age_days: float = Field(
        default=730.0, gt=0, validation_alias="LAKEWARD_COLLECTOR_MAX_AGE_DAYS"
    )
    """How long ago an event may have happened."""

    max_ahead_hours: float = Field(
        default=24.0, ge=0, validation_alias="LAKEWARD_COLLECTOR_MAX_AHEAD_HOURS"
    )
    """How far ahead of the collector's clock an event may be dated."""

    max_in_flight_bytes: int = Field(
        default=32 * 1024**2, ge=1024, validation_alias="LAKEWARD_COLLECTOR_MAX_IN_FLIGHT_BYTES"
    )
    """Bytes of requests that are worked on at once; half of it for one tenant."""

    max_connections: int = Field(
        default=2_000, ge=1, validation_alias="LAKEWARD_COLLECTOR_MAX_CONNECTIONS"
    )
    """Connections that are open at once."""

    request_seconds: float = Field(
        default=10.0, gt=0, validation_alias="LAKEWARD_COLLECTOR_REQUEST_SECONDS"
    )
    """How long a client may take to send its request, head and body."""

    keep_alive_seconds: float = Field(
        default=15.0, gt=0, validation_alias="LAKEWARD_COLLECTOR_KEEP_ALIVE_SECONDS"
    )
    """How long a connection may stay open between two requests."""

    stop_seconds: float = Field(
        default=20.0, gt=0, validation_alias="LAKEWARD_COLLECTOR_STOP_SECONDS"
    )
    """How long the requests under way may take when it is told to end."""
