"""The statistics of a merged file, from those of the files it was made of.

delta-rs and DuckDB skip files by these, so a bound that is too narrow would hide rows. Bounds are
therefore only ever widened: the least of the minima, the greatest of the maxima, as the log has
them; and a column for which one file gives no bound gets none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

EXACT_DIGITS: Final = 15
"""A decimal of so many digits survives being a double."""

Row = Mapping[str, Any]
"""One row of ``DeltaTable.get_add_actions(flatten=True)``."""


def merged_statistics(files: Sequence[Row], rows: int) -> str:
    """Return the ``stats`` of an add action as JSON.

    Args:
        files: the files that were merged.
        rows: how many rows the merged file has.
    """
    minima: list[str] = []
    maxima: list[str] = []
    nulls: list[str] = []
    for column in _columns(files):
        null_count = _sum([file.get(f"null_count.{column}") for file in files])
        name = json.dumps(column)
        if null_count is not None:
            nulls.append(f"{name}:{null_count}")
        for kind, best, into in (("min", min, minima), ("max", max, maxima)):
            told: list[Any] = [
                file.get(f"{kind}.{column}") for file in files if not _all_null(file, column)
            ]
            if told and None not in told:
                text = _json(best(told))
                if text is not None:
                    into.append(f"{name}:{text}")
    return (
        f'{{"numRecords":{rows},"minValues":{{{",".join(minima)}}},'
        f'"maxValues":{{{",".join(maxima)}}},"nullCount":{{{",".join(nulls)}}}}}'
    )


def _columns(files: Sequence[Row]) -> list[str]:
    prefix = "null_count."
    return sorted({key.removeprefix(prefix) for f in files for key in f if key.startswith(prefix)})


def _all_null(file: Row, column: str) -> bool:
    null_count = file.get(f"null_count.{column}")
    return null_count is not None and null_count == file.get("num_records")


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _json(value: Any) -> str | None:
    """Return a bound as Delta writes it; None for a type without bounds."""
    if isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return json.dumps(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        # delta-rs hands decimals on as doubles: what needs more digits may have been rounded
        return format(value, "f") if len(value.as_tuple().digits) <= EXACT_DIGITS else None
    if isinstance(value, datetime):
        return f'"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")}Z"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    return None
