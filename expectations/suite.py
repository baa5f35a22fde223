"""What is expected of a table, told without Great Expectations, so that it is cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lake.tables import Layer

Severity = Literal["block", "warn", "record"]
"""``block`` fails ``lakeward check``; ``warn`` is shown; ``record`` is kept in the results only."""

SEVERITIES: tuple[Severity, ...] = ("block", "warn", "record")

TableRef = tuple[Layer, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation."""

    name: str
    """Says what is expected in words; unique within its suite and stable, as it names history."""
    kind: str
    """The expectation's class in Great Expectations, e.g. ``ExpectColumnValuesToNotBeNull``."""
    arguments: Mapping[str, Any]
    severity: Severity
    why: str
    """What it means for the reader of the numbers when it does not hold."""

    @property
    def column(self) -> str | None:
        """The column it is about, None for the table as a whole."""
        column = self.arguments.get("column")
        return None if column is None else str(column)


@dataclass(frozen=True, slots=True)
class NewRows:
    """Look at the rows that a table got since it was last checked."""

    columns: Mapping[str, str]
    """Name in the batch -> SQL over the table's row."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Look at a few rows that a query makes of whole tables, e.g. one per contract."""

    sql: str
    """Over ``{layer.table}`` placeholders, each replaced by a scan at the pinned version."""
    reads: tuple[TableRef, ...]
    versions: Mapping[TableRef, int] = field(default_factory=dict)
    """Versions to read instead of the heads."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is expected of one table, and the batch that shows whether it holds."""

    name: str
    """``<layer>.<table>``, with a suffix when a table has several suites."""
    layer: Layer
    table: str
    batch: NewRows | Aggregate
    rules: tuple[Rule, ...]
    keys: tuple[str, ...] = ()
    """Columns of the batch that identify a row in the sample of a failed rule."""

    @property
    def reads(self) -> tuple[TableRef, ...]:
        """The tables whose versions decide whether there is anything new to check."""
        if isinstance(self.batch, Aggregate):
            return self.batch.reads
        return ((self.layer, self.table),)
