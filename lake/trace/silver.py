"""What became of a bronze row in silver: a row, a duplicate of another, rejected, or not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import duckdb

from lake.duck import delta_scan, quote_name
from lake.increments import Pinned
from lake.tables import Lake
from lake.trace.bronze import BronzeRow

REJECTED: Final = "stg_rejected_events"

Fate = Literal["row", "duplicate", "rejected", "not_built", "absent"]
"""``row``: it is the event's row. ``duplicate``: another one of the same key came first.
``rejected``: the contract's rules say that it is no event. ``not_built``: no build has read it
yet. ``absent``: it was read and is nowhere, as when its tenant was erased from silver."""


@dataclass(frozen=True, slots=True)
class InSilver:
    """What silver made of a bronze row."""

    fate: Fate
    table: str
    event_date: date | None = None
    event_at: datetime | None = None
    session_id: str | None = None
    first: tuple[str, int, int] | None = None
    """Of a duplicate: topic, partition and offset of the row that came first."""
    reason: str | None = None
    """Of a rejected row."""


def silver_fate(lake: Lake, connection: duckdb.DuckDBPyConnection, row: BronzeRow) -> InSilver:
    """Look a bronze row up in silver."""
    name = f"stg_{row.contract}"
    if not lake.exists("silver", name):
        return InSilver("not_built", name)
    found = _one(lake, connection, name, row.key)
    if found is not None:
        place = found["_topic"], found["_partition"], found["_offset"]
        is_it = (*place, found["_topic_id"]) == (
            row.source.topic, row.source.partition, row.offset, row.source.topic_id,
        )  # fmt: skip
        return InSilver(
            "row" if is_it else "duplicate",
            name,
            event_date=found.get("event_date"),
            event_at=found.get("event_at"),
            session_id=found.get("session_id"),
            first=None if is_it else place,
        )
    if lake.exists("silver", REJECTED):
        rejected = _one(
            lake,
            connection,
            REJECTED,
            {
                "contract": row.contract,
                "_topic_id": row.source.topic_id,
                "_partition": row.source.partition,
                "_offset": row.offset,
            },
        )
        if rejected is not None:
            return InSilver("rejected", REJECTED, rejected["event_date"], reason=rejected["reason"])
    return InSilver("not_built" if _is_unread(lake, name, row) else "absent", name)


def _one(
    lake: Lake, connection: duckdb.DuckDBPyConnection, name: str, key: dict[str, Any]
) -> dict[str, Any] | None:
    tests = [f"{quote_name(column)} is not distinct from ${column}" for column in key]
    cursor = connection.execute(
        f"select * from {delta_scan(lake.uri('silver', name))} where {' and '.join(tests)} limit 1",
        key,
    )
    names = [str(column[0]) for column in cursor.description or []]
    row = cursor.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _is_unread(lake: Lake, name: str, row: BronzeRow) -> bool:
    """Tell whether silver has yet to read the commit that brought a row."""
    bronze = Pinned(lake, "bronze", row.contract, lake.open("bronze", row.contract))
    seen = bronze.last_read_by(lake.open("silver", name))
    return seen is None or row.versions is None or seen < row.versions[1]
