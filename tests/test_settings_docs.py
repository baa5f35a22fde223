"""``.env.example`` and the settings reference name every setting, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[1]
PACKAGES = ["ingest", "lake", "expectations", "serving", "orchestration"]
READ_ELSEWHERE = {
    # object stores: handed to deltalake and DuckDB as they are
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
}


def settings_variables() -> Iterator[str]:
    for package in PACKAGES:
        if not (ROOT / package / "settings.py").exists():
            continue
        module = import_module(f"{package}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseSettings):
                for field in value.model_fields.values():
                    yield str(field.validation_alias)


@pytest.mark.parametrize("page", [".env.example", "docs/reference/settings.md"])
def test_every_setting_is_listed_and_every_listed_one_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    listed = set(re.findall(r"\b(?:LAKEWARD|KAFKA|AWS)_[A-Z0-9_]+\b", text))
    known = set(settings_variables()) | READ_ELSEWHERE
    assert listed == known
