"""The gold buckets in which a silver row counts, found by what the tables say they were built from.

A model's table records which version of each upstream it has read (``lake.increments``). So the
graph of the models is in the tables themselves, and is that of the build which wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import duckdb
from deltalake import DeltaTable

from ingest.contracts.exact import TENANT
from lake.duck import delta_scan, quote_name
from lake.increments import Pinned
from lake.tables import Lake, Layer
from lake.trace.silver import InSilver

MODELLED: Final[tuple[Layer, ...]] = ("silver", "gold")

SESSION: Final = frozenset({TENANT, "session_id", "started_at", "ended_at"})
"""Columns of a table whose rows are sessions; an event counts on the day its session is filed."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One partition of a gold table that a silver row counts in."""

    table: str
    column: str
    """The date column that the table is partitioned by."""
    day: date
    rows: int
    """How many rows the bucket has."""
    through: tuple[str, ...]
    """The tables between, e.g. ``silver.int_sessions``."""
    is_behind: bool
    """True when a table on the way has changed since it was read: build to bring it up."""


def gold_buckets(
    lake: Lake, connection: duckdb.DuckDBPyConnection, tenant: str, silver: InSilver
) -> list[Bucket]:
    """Return the buckets, by table."""
    tables: dict[tuple[Layer, str], DeltaTable] = {
        (layer, name): lake.open(layer, name) for layer in MODELLED for name in lake.names(layer)
    }
    found: dict[str, Bucket] = {}
    waiting: list[tuple[tuple[Layer, str], date, tuple[str, ...], bool]] = []
    if silver.event_date is not None:
        waiting.append((("silver", silver.table), silver.event_date, (), False))
    seen: set[tuple[Layer, str]] = set()
    while waiting:
        upstream, day, through, was_behind = waiting.pop(0)
        if upstream in seen or upstream not in tables:
            continue
        seen.add(upstream)
        pinned = Pinned(lake, *upstream, tables[upstream])
        for (layer, name), table in tables.items():
            version = pinned.last_read_by(table)
            columns = table.metadata().partition_columns
            if version is None or len(columns) != 2 or columns[0] != TENANT:
                continue
            is_behind = was_behind or version < tables[upstream].version()
            label = f"{layer}.{name}"
            if layer == "gold":
                rows = _count(lake, connection, name, columns[1], tenant, day)
                if rows or is_behind:  # a bucket without rows counts nothing
                    bucket = Bucket(label, columns[1], day, rows, through, is_behind)
                    found.setdefault(label, bucket)
            for filed in _days(lake, connection, layer, name, table, tenant, silver, day):
                waiting.append(((layer, name), filed, (*through, label), is_behind))
    return sorted(found.values(), key=lambda bucket: bucket.table)


def _days(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    layer: Layer,
    name: str,
    table: DeltaTable,
    tenant: str,
    silver: InSilver,
    day: date,
) -> list[date]:
    """Return under which day of a table the event is filed."""
    columns = {field.name for field in table.schema().fields}
    if not columns >= SESSION or silver.session_id is None or silver.event_at is None:
        return [day]
    filed = table.metadata().partition_columns[1]
    rows = connection.execute(
        f"select distinct {quote_name(filed)} from {delta_scan(lake.uri(layer, name))} "
        f"where {TENANT} = $tenant and session_id = $session "
        "and $at between started_at and ended_at",
        {"tenant": tenant, "session": silver.session_id, "at": silver.event_at},
    ).fetchall()
    return [row[0] for row in rows]


def _count(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    name: str,
    column: str,
    tenant: str,
    day: date,
) -> int:
    values: dict[str, Any] = {"tenant": tenant, "day": day}
    row = connection.execute(
        f"select count(*) from {delta_scan(lake.uri('gold', name))} "
        f"where {TENANT} = $tenant and {quote_name(column)} = $day",
        values,
    ).fetchone()
    return 0 if row is None else int(row[0])
