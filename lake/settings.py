"""Settings of ``lake``, from the environment or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ingest.environment import EnvironmentSettings


class LakeSettings(EnvironmentSettings):
    """Where the Delta tables are and how the writer fills them."""

    home: Path = Field(default=Path("data"), validation_alias="LAKEWARD_HOME")
    """Folder for everything lakeward keeps on this machine."""

    lake_root: str | None = Field(default=None, validation_alias="LAKEWARD_LAKE_ROOT")
    """Root of all Delta tables, a path or ``s3://bucket/prefix``; default ``<home>/lake``."""

    writer_name: str = Field(default="lakeward", validation_alias="LAKEWARD_WRITER_NAME")
    """Names the writer in the tables' transaction ids and the Kafka consumer group."""

    assignment: Literal["auto", "group", "static"] = Field(
        default="auto", validation_alias="LAKEWARD_ASSIGNMENT"
    )
    """How the writer gets its partitions: ``group`` shares them with the other writers of its
    name, ``static`` takes all of them at once; ``auto`` is ``group`` except on the embedded
    broker and for ``lakeward write --until-current``."""

    writer_instance: str | None = Field(default=None, validation_alias="LAKEWARD_WRITER_INSTANCE")
    """A name of this process that outlives a restart (Kafka's ``group.instance.id``): one that
    comes back within ``session_seconds`` goes on with its partitions at once. Unset: none."""

    session_seconds: float = Field(default=45.0, ge=1, validation_alias="LAKEWARD_SESSION_SECONDS")
    """A writer that is silent for this long loses its partitions to the others of its group."""

    flush_seconds: float = Field(default=1.0, gt=0, validation_alias="LAKEWARD_FLUSH_SECONDS")
    """Commit at the latest this long after the first buffered message."""

    flush_bytes: int = Field(default=12 * 2**20, gt=0, validation_alias="LAKEWARD_FLUSH_BYTES")
    """Commit when this many payload bytes are buffered."""

    rules_seconds: float = Field(default=5.0, gt=0, validation_alias="LAKEWARD_RULES_SECONDS")
    """How often a running writer looks for changed contracts and tenants."""

    tenants: str | None = Field(default=None, validation_alias="LAKEWARD_TENANTS")
    """Known tenants, comma separated, whatever the registry says; unset: those that are active
    there, and every tenant while none was ever registered."""

    dead_letter_limit: float = Field(
        default=0.5, gt=0, le=1, validation_alias="LAKEWARD_DEAD_LETTER_LIMIT"
    )
    """Stop when this share of the last ``dead_letter_window`` messages are dead letters."""

    dead_letter_window: int = Field(
        default=10_000, gt=0, validation_alias="LAKEWARD_DEAD_LETTER_WINDOW"
    )

    dead_letters_topic: str = Field(
        default="lakeward.dead-letters", validation_alias="LAKEWARD_DEAD_LETTERS_TOPIC"
    )
    """The topic to which ``lakeward dead-letters mirror`` sends dead letters."""

    metrics_address: str | None = Field(default=None, validation_alias="LAKEWARD_METRICS_ADDRESS")
    """Where an always-on writer serves ``/metrics``, ``/healthz`` and ``/readyz``: ``host:port``;
    unset: nowhere. A drain (``--until-current``) serves them only when its option says so."""

    compact_target_bytes: int = Field(
        default=128 * 2**20, ge=2**20, validation_alias="LAKEWARD_COMPACT_TARGET_BYTES"
    )
    """Small files are merged into files of about this size."""

    vacuum_retention_days: int = Field(
        default=7, ge=1, validation_alias="LAKEWARD_VACUUM_RETENTION_DAYS"
    )
    """Files that were replaced stay for so many days, for readers of older versions."""

    log_retention_days: int = Field(
        default=30, ge=1, validation_alias="LAKEWARD_LOG_RETENTION_DAYS"
    )
    """A table's versions can be opened for so many days."""

    log_commits: int = Field(default=500, ge=100, validation_alias="LAKEWARD_LOG_COMMITS")
    """So many of the last versions of a bronze table can be opened, and before them one an hour."""

    build_niceness: int = Field(default=10, ge=0, le=19, validation_alias="LAKEWARD_BUILD_NICENESS")
    """How far a build lets collector, writer and dashboards on the same machine go before it: 0 as
    everything else, 19 only what nobody else wants of the processor."""

    @property
    def root(self) -> str:
        """The lake root as an absolute path or a URI."""
        if self.lake_root is None:
            return str((self.home / "lake").resolve())
        if "://" in self.lake_root:
            return self.lake_root.rstrip("/")
        return str(Path(self.lake_root).resolve())
