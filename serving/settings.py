"""Settings of ``serving``, from the environment or a ``.env`` file."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServingSettings(BaseSettings):
    """What leaves the lake, and where it goes."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        env_prefix="LAKEWARD_",
        extra="ignore",
        populate_by_name=True,
    )

    publish: str = Field(default="fct_campaign_1m=results", validation_alias="LAKEWARD_PUBLISH")
    """Which tables of gold go to which topics, ``table=topic`` with commas between, or ``none``."""

    publish_positions: str = Field(
        default="lakeward.published", validation_alias="LAKEWARD_PUBLISH_POSITIONS"
    )
    """The compacted topic that says which version of a table a topic holds."""
