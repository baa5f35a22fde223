"""Settings of ``orchestration``, from the environment or a ``.env`` file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field, SecretStr

from ingest.environment import EnvironmentSettings


class OrchestrationSettings(EnvironmentSettings):
    """When things run, and where Dagster keeps what it knows."""

    home: Path = Field(default=Path("data"), validation_alias="LAKEWARD_HOME")
    """Folder for everything lakeward keeps on this machine."""

    dagster_host: str = Field(default="127.0.0.1", validation_alias="LAKEWARD_DAGSTER_HOST")
    """The address Dagster's page listens on. The page has no login: keep it private."""

    dagster_port: int | None = Field(
        default=None, ge=1, le=65535, validation_alias="LAKEWARD_DAGSTER_PORT"
    )
    """The port of Dagster's page; unset means 3000, or the next free one."""

    watch_seconds: int = Field(default=30, ge=5, validation_alias="LAKEWARD_WATCH_SECONDS")
    """How often the sensor looks for new bronze versions."""

    build_seconds: int = Field(default=120, ge=0, validation_alias="LAKEWARD_BUILD_SECONDS")
    """The least time between two builds that new events cause."""

    build_cron: str = Field(default="5 * * * *", validation_alias="LAKEWARD_BUILD_CRON")
    """When everything is built and checked whether or not events came (UTC)."""

    audit_cron: str = Field(default="35 3 * * *", validation_alias="LAKEWARD_AUDIT_CRON")
    """When the audit runs (UTC)."""

    compact_cron: str = Field(default="*/10 * * * *", validation_alias="LAKEWARD_COMPACT_CRON")
    """When the small files of frequent commits are merged (UTC)."""

    maintain_cron: str = Field(default="15 2 * * *", validation_alias="LAKEWARD_MAINTAIN_CRON")
    """When the tables are vacuumed and their logs shortened as well (UTC)."""

    history_start: date = Field(default=date(2015, 1, 1), validation_alias="LAKEWARD_HISTORY_START")
    """The first event date that a backfill may name."""

    fresh_hours: float = Field(default=6.0, ge=0.1, validation_alias="LAKEWARD_FRESH_HOURS")
    """Tables that were not written for so long, or hold no newer event, are stale."""

    run_retention_days: int = Field(
        default=30, ge=1, validation_alias="LAKEWARD_RUN_RETENTION_DAYS"
    )
    """Dagster forgets its runs and their logs after so many days."""

    alert_urls: SecretStr = Field(default=SecretStr(""), validation_alias="LAKEWARD_ALERT_URLS")
    """Who is told of a run that failed: Apprise URLs with spaces between them."""

    alert_repeat_hours: float = Field(
        default=6.0, ge=0, validation_alias="LAKEWARD_ALERT_REPEAT_HOURS"
    )
    """The same failure is told again after so many hours, not with each run."""

    alert_link: str | None = Field(default=None, validation_alias="LAKEWARD_ALERT_LINK")
    """The address of Dagster's page as people open it, for a link to the run in each alert."""

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """The alert URLs, one each; they hold secrets."""
        return tuple(self.alert_urls.get_secret_value().split())

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder, absolute as Dagster wants it."""
        return (self.home / "dagster").resolve()

    @property
    def logs(self) -> Path:
        """Where ``lakeward up`` writes what its processes say."""
        return (self.home / "logs").resolve()
