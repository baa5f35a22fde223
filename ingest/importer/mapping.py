"""The mapping file: which member of an event comes from where in a line."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ingest.errors import ImportFileError
from ingest.importer.formats import Format
from ingest.importer.records import COMBINED_FIELDS
from ingest.importer.transforms import PLAIN

SHIPPED: Final = ("access_log", "github_events")
"""Mappings that come with lakeward; ``--map access_log`` uses one by name."""

PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


class Transform(BaseModel):
    """One change to a value: exactly one of its members."""

    model_config = ConfigDict(extra="forbid")

    plain: str | None = None
    timestamp: str | None = None
    null_if: list[Any] | None = None
    lookup: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"plain": value} if isinstance(value, str) else value

    @field_validator("plain")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in PLAIN:
            raise ValueError(f"no transform is called `{value}`; there are {', '.join(PLAIN)}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("expected exactly one of a name, timestamp, null_if, lookup")
        return self


class Rule(BaseModel):
    """Where one member comes from: exactly one of from, const, template, object."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    source: str | None = Field(default=None, alias="from")
    const: Any = None
    template: str | None = None
    object: dict[str, Rule] | None = None
    transform: list[Transform] = []
    default: Any = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"from": value}
        if isinstance(value, dict) and "transform" in value:
            listed = value["transform"]
            return {**value, "transform": listed if isinstance(listed, list) else [listed]}
        if not isinstance(value, dict | Rule):
            raise ValueError("expected a path like actor.login, or from, const, template, object")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = {"source", "const", "template", "object"} & self.model_fields_set
        if len(given) != 1:
            raise ValueError("expected exactly one of from, const, template, object")
        return self

    def paths(self) -> list[str]:
        """Return every path into the line that the rule reads."""
        if self.source is not None:
            return [self.source]
        if self.template is not None:
            return [str(path) for path in PLACEHOLDER.findall(self.template)]
        return [path for rule in (self.object or {}).values() for path in rule.paths()]


class Mapping(BaseModel):
    """A mapping file."""

    model_config = ConfigDict(extra="forbid")

    description: str = ""
    format: Format | None = None
    """What files it is for; None means any."""
    contract: str | None = None
    """What contract it is for; None means any that has the fields."""
    fields: dict[str, Rule]
    """By column of the contract, or by the name in the payload."""
    extra: dict[str, Rule] = {}
    """Members that the contract does not have; the writer keeps them in ``_rescued``."""


def load_mapping(name: str) -> Mapping:
    """Read a mapping file, or one of the shipped mappings by its name.

    Raises:
        ImportFileError: there is no such file, or something in it is wrong: says what and where.
    """
    path = Path(name)
    if name in SHIPPED and not path.exists():
        text = (resources.files("ingest.importer") / "mappings" / f"{name}.yaml").read_text("utf-8")
    else:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise ImportFileError(
                f"{path}: the mapping cannot be read: {error.strerror}",
                hint=f"name a file, or a shipped mapping: {', '.join(SHIPPED)}",
            ) from error
        except UnicodeDecodeError as error:
            raise ImportFileError(f"{path}: the mapping is not UTF-8") from error
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise ImportFileError(f"{name}{line}: expected YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ImportFileError(f"{name}: expected YAML: {error}") from error
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        lines = [f"{name}: {_where(e['loc'])}: {_what(e['msg'])}" for e in error.errors()]
        raise ImportFileError(
            "\n".join(lines), hint="docs/guides/import.md shows a whole mapping"
        ) from error
    if mapping.format == "combined":
        _check_log_fields(name, mapping)
    return mapping


def _check_log_fields(name: str, mapping: Mapping) -> None:
    for target, rule in (mapping.fields | mapping.extra).items():
        for path in rule.paths():
            if path not in COMBINED_FIELDS:
                raise ImportFileError(
                    f"{name}: fields.{target}: a log line has no `{path}`",
                    hint=f"it has {', '.join(COMBINED_FIELDS)}",
                )


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _what(message: str) -> str:
    return message.removeprefix("Value error, ")
