"""How every group of settings is read: from the environment or a ``.env`` file."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class EnvironmentSettings(BaseSettings):
    """Settings whose variables begin with ``LAKEWARD_``, unless a field names another one."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        env_prefix="LAKEWARD_",  # or a field `home` would also be read from HOME
        extra="ignore",
        populate_by_name=True,
    )
