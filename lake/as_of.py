"""Time travel: which version of each table a query sees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from lake.errors import QueryError
from lake.tables import LAYERS, Lake, Layer

RECENT_COMMITS = 1_000
"""Looked at first; only an older moment costs reading the whole history."""

Tables = Sequence[tuple[Layer, str]]


class AsOf(Protocol):
    """A choice of one version per table."""

    def check(self, tables: Tables) -> None:
        """Raise QueryError when the choice names a table that is not among ``tables``."""

    def version(self, lake: Lake, layer: Layer, name: str) -> int | None:
        """Return the version to read, None for the head.

        Raises:
            QueryError: the table has no such version.
        """


@dataclass(frozen=True, slots=True)
class Head:
    """Every table as it is now."""

    def check(self, tables: Tables) -> None:
        """Nothing is named, so nothing can be missing."""

    def version(self, lake: Lake, layer: Layer, name: str) -> int | None:  # noqa: ARG002
        """Return None: the head."""
        return None


@dataclass(frozen=True, slots=True)
class AtTime:
    """Every table as it was at one moment: the last version committed by then."""

    moment: datetime
    """With a time zone."""

    def check(self, tables: Tables) -> None:
        """Nothing is named, so nothing can be missing."""

    def version(self, lake: Lake, layer: Layer, name: str) -> int | None:
        """Return the last version that was committed by ``moment``.

        Raises:
            QueryError: the table's first known version is later.
        """
        # deltalake's own load_as_version compares whole seconds only, and its history numbers the
        # commits wrongly on a table that is not at its head: so the head's history is searched.
        table = lake.open(layer, name)
        for limit in (RECENT_COMMITS, None):
            commits = table.history(limit)
            for commit in commits:
                if commit_time(commit["timestamp"]) <= self.moment:
                    return int(commit["version"])
        first = commit_time(commits[-1]["timestamp"])
        raise QueryError(
            f"it was not there at {self.moment.isoformat()}: its first known version is of "
            f"{first.isoformat(timespec='milliseconds')}"
        )


@dataclass(frozen=True, slots=True)
class AtVersions:
    """The named tables at the given versions, all others as they are now."""

    versions: tuple[tuple[Layer, str, int], ...]

    def check(self, tables: Tables) -> None:
        """Raise QueryError when a named table is not in the lake."""
        for layer, name, _ in self.versions:
            if (layer, name) not in tables:
                raise QueryError(
                    f"--as-of names {layer}.{name}, which is not in the lake",
                    hint="`lakeward tables` lists what there is",
                )

    def version(self, lake: Lake, layer: Layer, name: str) -> int | None:
        """Return the version given for this table, None when none is.

        Raises:
            QueryError: the table has no such version.
        """
        for a_layer, a_name, version in self.versions:
            if (a_layer, a_name) == (layer, name):
                head = lake.open(layer, name).version()
                if version > head:
                    raise QueryError(f"its newest version is {head}, not {version}")
                return version
        return None


def commit_time(milliseconds: int) -> datetime:
    """Return the moment of a Delta commit from its ``timestamp`` in milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def parse_as_of(texts: Sequence[str]) -> AsOf:
    """Read the values of ``--as-of``: one moment, or any number of ``<layer>.<table>=<version>``.

    A moment is ISO 8601; without an offset it is UTC; a date alone means its first instant.

    Raises:
        QueryError: a value is neither, or the two are mixed.
    """
    if not texts:
        return Head()
    named = [_table_version(text) for text in texts]
    found = tuple(one for one in named if one is not None)
    if len(found) == len(texts):
        return AtVersions(found)
    if len(texts) > 1:
        raise QueryError(
            "--as-of takes one moment, or several of <layer>.<table>=<version>, not both"
        )
    try:
        moment = datetime.fromisoformat(texts[0])
    except ValueError as error:
        raise QueryError(
            f"--as-of {texts[0]!r} is neither a moment nor <layer>.<table>=<version>",
            hint="for example 2026-03-01T12:00:00Z, 2026-03-01, or silver.stg_clickstream=12",
        ) from error
    return AtTime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def _table_version(text: str) -> tuple[Layer, str, int] | None:
    match = re.fullmatch(r"(\w+)\.(\w+)=(\d+)", text.strip())
    if match is None:
        return None
    for layer in LAYERS:
        if layer == match[1]:
            return layer, match[2], int(match[3])
    raise QueryError(f"--as-of {text!r}: there is no layer {match[1]}", hint=", ".join(LAYERS))
