"""``.env.example`` and the settings reference name every setting, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from ingest.environment import EnvironmentSettings

ROOT = Path(__file__).parents[1]
PACKAGES = ["ingest", "lake", "expectations", "serving", "orchestration"]
OBJECT_STORE = {
    # handed to deltalake and DuckDB as they are
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
}
READ_BY_DBT = set(
    re.findall(r"env_var\('(\w+)'", (ROOT / "dbt_project" / "profiles.yml").read_text())
)


def settings_classes(package: str) -> list[type[EnvironmentSettings]]:
    if not (ROOT / package / "settings.py").exists():
        return []
    module = import_module(f"{package}.settings")
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, EnvironmentSettings)
        and value is not EnvironmentSettings
    ]


def settings_variables() -> Iterator[str]:
    for package in PACKAGES:
        for settings in settings_classes(package):
            yield from (str(f.validation_alias) for f in settings.model_fields.values())


@pytest.mark.parametrize("page", [".env.example", "docs/reference/settings.md"])
def test_every_setting_is_listed_and_every_listed_one_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    listed = set(re.findall(r"\b(?:LAKEWARD|KAFKA|AWS)_[A-Z0-9_]+\b", text))
    known = set(settings_variables()) | OBJECT_STORE | READ_BY_DBT
    assert listed == known


@pytest.mark.parametrize("package", PACKAGES)
def test_the_home_is_never_the_home_of_the_user(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # no .env here
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    for settings in settings_classes(package):
        assert settings().model_dump().get("home") in (None, Path("data"))
