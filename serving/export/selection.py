"""Which rows of a mart are exported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from lake.duck import quote_name, quote_text
from serving.errors import ExportError

OPERATORS: Final = (">=", "<=", "!=", "=", ">", "<")
_CONDITION: Final = re.compile(rf"\s*(\w+)\s*({'|'.join(OPERATORS)})(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """A column, how it is compared, and with what."""

    column: str
    operator: str
    """One of ``OPERATORS``."""
    value: str
    """As text; it is read as the column's type."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that all hold for a row that is exported; without any, all rows are."""

    conditions: tuple[Condition, ...] = ()

    def sql(self, types: Mapping[str, str]) -> str:
        """Return them as DuckDB's SQL.

        Values stand in it as quoted literals of the column's type, never as SQL: a query of
        parameters would read every file, since files are chosen before parameters are known.
        """
        return " and ".join(
            f"{quote_name(one.column)} {one.operator} {quote_text(one.value)}::{types[one.column]}"
            for one in self.conditions
        )


def parse_condition(text: str) -> Condition:
    """Return what ``column=value``, ``column>=value`` and so on means.

    Raises:
        ExportError: it is not of this form.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ExportError(
            f"{text!r} is no condition",
            hint=f"a column, one of {' '.join(OPERATORS)}, and a value: --where 'site_id=ico-001'",
        )
    return Condition(found[1], found[2], found[3])


def select(
    types: Mapping[str, str],
    label: str,
    *,
    where: tuple[Condition, ...] = (),
    tenant: str | None = None,
    since: date | None = None,
    before: date | None = None,
) -> Selection:
    """Return the selection, after a look that the columns are there.

    Args:
        types: of the columns of the table.
        label: names the table in an error.
        where: conditions on any column.
        tenant: only this tenant's rows.
        since: the first UTC date, by the table's own date column: the first one of type date.
        before: the date that is the first one left out.

    Raises:
        ExportError: a column is not there.
    """
    found = list(where)
    if tenant is not None:
        found.append(Condition("tenant_id", "=", tenant))
    dates = [name for name, kind in types.items() if kind == "DATE"]
    for operator, day in ((">=", since), ("<", before)):
        if day is not None:
            if not dates:
                raise ExportError(f"{label} has no date column to select days by")
            found.append(Condition(dates[0], operator, day.isoformat()))
    for one in found:
        if one.column not in types:
            raise ExportError(
                f"{label} has no column {one.column!r}", hint=f"it has {', '.join(types)}"
            )
    return Selection(tuple(found))
