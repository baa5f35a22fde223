"""The compose file as Compose reads it: merged, and filled in from ``.env``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
_VARIABLE: Final = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")
_SECONDS: Final = {"s": 1, "m": 60}
DEFAULT_GRACE_S: Final = 10
"""What Docker gives a container between SIGTERM and SIGKILL when the file does not say."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service, in the file's own words."""

    name: str
    image: str
    profiles: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """The file's own; those of ``.env`` are not among them."""
    reads_env_file: bool
    healthcheck: tuple[str, ...]
    """The command; empty when there is none."""
    needs: tuple[str, ...]
    """The services that must be healthy before it starts."""
    ports: tuple[int, ...]
    """Where it listens in its container, as far as others are told."""
    volumes: Mapping[str, str]
    """Path in the container to volume, or to a folder of the repository."""
    grace_s: float
    """How long it may take to end after SIGTERM."""


def compose() -> dict[str, Any]:
    """Return the document; ``${NAME:-default}`` is in it as it is written."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return every service by its name, as it would be with these variables."""
    document = filled_in(compose(), variables)
    return {name: _service(name, written) for name, written in document["services"].items()}


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill variables in, in every text of ``value``, and turn ``$$`` into ``$``."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, variables), value)
    if isinstance(value, list):
        return [filled_in(one, variables) for one in value]
    if isinstance(value, dict):
        return {key: filled_in(one, variables) for key, one in value.items()}
    return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["name"] is None:
        return "$"
    return variables.get(found["name"]) or found["default"] or ""


def _service(name: str, written: Mapping[str, Any]) -> Service:
    check = written.get("healthcheck", {}).get("test", ["CMD"])
    assert check[0] == "CMD", f"{name}: a health check without a shell"
    listens = (*written.get("expose", ()), *written.get("ports", ()))
    volumes = (text.split(":")[:2] for text in written.get("volumes", ()))
    return Service(
        name=name,
        image=written["image"],
        profiles=tuple(written.get("profiles", ())),
        command=tuple(written.get("command", ())),
        environment={key: str(value) for key, value in written.get("environment", {}).items()},
        reads_env_file="env_file" in written,
        healthcheck=tuple(check[1:]),
        needs=tuple(written.get("depends_on", {})),
        ports=tuple(int(text.rpartition(":")[2]) for text in listens),
        volumes={path: source for source, path in volumes},
        grace_s=_seconds(written.get("stop_grace_period", f"{DEFAULT_GRACE_S}s")),
    )


def _seconds(text: str) -> float:
    return int(text[:-1]) * _SECONDS[text[-1]]
