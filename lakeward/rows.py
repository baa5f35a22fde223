"""Rows of a query on the terminal: an aligned table, CSV, or JSON."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = tuple[Any, ...]

_C1: Final = re.compile(r"[\x7f-\x9f]")
"""Control characters that JSON lets through as they are, and that some terminals obey."""


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"


def write_table(console: Console, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write an aligned table; numbers to the right, nulls dimmed."""
    from lake.dead_letters.readable import printable

    listed = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = any(_is_number(row[index]) for row in listed)
        table.add_column(
            Text(printable(column)), justify="right" if numeric else "left", overflow="fold"
        )
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def write_csv(out: TextIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write CSV with a header; null is empty, nested values are JSON, times ISO 8601.

    Values are as they are, control characters included: CSV is for programs.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else as_text(value) for value in row])


def write_json(out: TextIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write one JSON array with an object per row; decimals keep all their digits."""
    names = [json.dumps(name) for name in unique(columns)]
    opening = "["
    for row in rows:
        members = ", ".join(f"{n}: {as_json(v)}" for n, v in zip(names, row, strict=True))
        out.write(f"{opening}\n  {{{members}}}")
        opening = ","
    out.write("[]\n" if opening == "[" else "\n]\n")


def unique(columns: Sequence[str]) -> Iterator[str]:
    """Yield the names, a repeated one with ``_2``, ``_3``, ... so that no member is lost."""
    seen: set[str] = set()
    for column in columns:
        name, count = column, 1
        while name in seen:
            count += 1
            name = f"{column}_{count}"
        seen.add(name)
        yield name


def as_json(value: Any) -> str:
    """Return ``value`` as JSON text; what is no number in JSON (NaN, infinity) is null."""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, float):
        return json.dumps(value) if math.isfinite(value) else "null"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(as_text(k))}: {as_json(v)}" for k, v in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_json(one) for one in value) + "]"
    return _C1.sub(_escaped, json.dumps(as_text(value), ensure_ascii=False))


def as_text(value: Any) -> str:
    """Return ``value`` as a person reads it; bytes as UTF-8 with escapes for what is not."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, dict | list | tuple):
        return as_json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | timedelta) and not isinstance(value, bool)


def _cell(value: Any) -> Text:
    """What a column holds came from outside, and must not drive the terminal."""
    from lake.dead_letters.readable import printable

    return Text("null", style="dim") if value is None else Text(printable(as_text(value)))
