"""The statistics of a rewritten file, counted anew.

Those of the old file would do for skipping files, but they may be the erased rows' own values: the
greatest e-mail address of a file is an e-mail address. Bounds are given where the old file had
them, so that the log grows no wider; a text longer than ``LONGEST`` bounds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lake.maintenance.statistics import merged_statistics

LONGEST: Final = 32
"""Characters; Delta's own writers cut longer ones off."""

_MILLISECOND: Final = timedelta(milliseconds=1)


def statistics_of(fs: pafs.FileSystem, path: str, old: Mapping[str, Any]) -> str:
    """Return the ``stats`` of an add action as JSON, a row group in memory at a time.

    Args:
        fs: of the table.
        path: of the new file.
        old: the file that it replaces, a row of ``DeltaTable.get_add_actions(flatten=True)``.
    """
    prefix = "null_count."
    columns = [name.removeprefix(prefix) for name in old if name.startswith(prefix)]
    groups: list[dict[str, Any]] = []
    with fs.open_input_file(path) as source, pq.ParquetFile(source) as parquet:
        there = [name for name in columns if name in parquet.schema_arrow.names]
        for number in range(parquet.num_row_groups):
            rows = parquet.read_row_group(number, columns=there, use_threads=False)
            if not rows.num_rows:
                continue
            found: dict[str, Any] = {"num_records": rows.num_rows}
            for name in there:
                column = rows[name]
                found[f"{prefix}{name}"] = column.null_count
                if old.get(f"min.{name}") is not None:
                    bounds = pc.min_max(column)
                    found[f"min.{name}"] = _least(bounds["min"].as_py())
                    found[f"max.{name}"] = _most(bounds["max"].as_py())
            groups.append(found)
    return merged_statistics(groups, sum(group["num_records"] for group in groups))


def _least(value: Any) -> Any:
    return None if isinstance(value, str) and len(value) > LONGEST else value


def _most(value: Any) -> Any:
    if isinstance(value, datetime) and value.microsecond % 1000:
        try:
            return value + _MILLISECOND  # bounds are written in whole milliseconds, cut off
        except OverflowError:
            return None
    return _least(value)
