"""What dbt's project says of the marts and of who looks at them, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_LIVE_OF: Final = ("fct_", "current_")
"""A live view is called as its mart is without this (``lake/live.py``)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a mart."""

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class Mart:
    """One gold model."""

    name: str
    owner: str
    description: str
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Exposure:
    """A dashboard as dbt knows it."""

    name: str
    label: str
    description: str
    owner: str
    marts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Project:
    """The parts of a manifest that dashboards stand on."""

    marts: Mapping[str, Mart]
    exposures: Mapping[str, Exposure]
    upstream: Mapping[str, frozenset[str]]
    """Name of a model, seed or source table: what it reads, by name. Names are unique."""

    def mart_of(self, table: str) -> Mart | None:
        """Return the mart of ``gold.<mart>`` or ``live.<view>``; None when there is none."""
        return next((self.marts[n] for n in mart_names(table) if n in self.marts), None)

    def all_upstream(self, name: str) -> frozenset[str]:
        """Return everything that ``name`` is made from, itself included."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            one = ahead.pop()
            if one not in found:
                found.add(one)
                ahead += self.upstream.get(one, ())
        return frozenset(found)


def mart_names(table: str) -> tuple[str, ...]:
    """Return what the mart of ``gold.<mart>`` or ``live.<view>`` may be called."""
    layer, _, name = table.partition(".")
    if layer == "gold":
        return (name,)
    return tuple(prefix + name for prefix in _LIVE_OF) if layer == "live" else ()


def read_project(manifest: Mapping[str, Any]) -> Project:
    """Return what ``manifest.json`` says."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    tables = {
        key: node for key, node in nodes.items() if node["resource_type"] in _TABLES
    }  # tests and the like are nodes too
    return Project(
        marts={
            node["name"]: _mart(node)
            for node in tables.values()
            if node["resource_type"] == "model" and node["schema"] == "gold"
        },
        exposures={
            node["name"]: Exposure(
                name=node["name"],
                label=node["label"],
                description=_one_line(node["description"]),
                owner=node["owner"]["name"],
                marts=frozenset(nodes[up]["name"] for up in node["depends_on"]["nodes"]),
            )
            for node in manifest["exposures"].values()
        },
        upstream={
            node["name"]: frozenset(
                tables[up]["name"]
                for up in node.get("depends_on", {}).get("nodes", ())
                if up in tables
            )
            for node in tables.values()
        },
    )


_TABLES: Final = frozenset({"model", "seed", "source", "snapshot"})


def _mart(node: Mapping[str, Any]) -> Mart:
    columns = {
        name: Column(name, str(column["data_type"]), _one_line(column["description"]))
        for name, column in node["columns"].items()
    }
    owner = str(node["config"].get("meta", {}).get("owner", ""))
    return Mart(node["name"], owner, _one_line(node["description"]), columns)


def _one_line(text: str) -> str:
    return " ".join(text.split())
