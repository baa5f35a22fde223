"""What the lake holds: rows, size, files, version and freshness of each table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lake.as_of import commit_time
from lake.errors import LakePathError
from lake.tables import LAYERS, Lake, Layer


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table, as its Delta log describes it; no data file is read."""

    layer: Layer
    name: str
    version: int
    rows: int | None
    """None when some file has no statistics."""
    size_bytes: int
    """Of the files of this version; older files that vacuum keeps are not counted."""
    files: int
    changed_at: datetime | None
    """When the last version was committed."""
    operation: str | None
    """What the last commit did, e.g. ``WRITE`` or ``OPTIMIZE``."""
    description: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder that looks like a Delta table but cannot be opened."""

    layer: Layer
    name: str
    reason: str


def inventory(lake: Lake, *layers: Layer) -> Iterator[TableFacts | Unreadable]:
    """Yield each table of the given layers, all layers when none is given."""
    for layer in layers or LAYERS:
        for name in lake.names(layer):
            try:
                yield facts(layer, name, lake.open(layer, name))
            except (DeltaError, OSError) as error:
                yield Unreadable(layer, name, str(error).strip().splitlines()[0])


def facts(layer: Layer, name: str, table: DeltaTable) -> TableFacts:
    """Describe one opened table."""
    files = pa.table(table.get_add_actions(flatten=True))
    size, rows = 0, 0 if files.num_rows == 0 else None
    if files.num_rows:
        size = pc.sum(files["size_bytes"]).as_py()
        if "num_records" in files.column_names and files["num_records"].null_count == 0:
            rows = pc.sum(files["num_records"]).as_py()
    last = table.history(1)
    return TableFacts(
        layer=layer,
        name=name,
        version=table.version(),
        rows=rows,
        size_bytes=size,
        files=files.num_rows,
        changed_at=commit_time(last[0]["timestamp"]) if last and "timestamp" in last[0] else None,
        operation=last[0].get("operation") if last else None,
        description=table.metadata().description,
    )


def require_tables(lake: Lake) -> None:
    """Make sure the lake has a table.

    Raises:
        LakePathError: it has none.
    """
    if not any(lake.names(layer) for layer in LAYERS):
        raise LakePathError(
            f"there are no tables in the lake at {lake.root}",
            hint="`lakeward write` makes the first ones; LAKEWARD_HOME says where the lake is",
        )
