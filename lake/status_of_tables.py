"""What the lake says about each contract's table, for ``lakeward status``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingest.contracts.model import Contract
from lake.errors import LakeError, in_one_line
from lake.inventory import TableFacts, facts
from lake.journal import Entry, Journal, incarnations
from lake.tables import DEAD_LETTERS, Lake, read_rows
from lake.writer.commit import METADATA_KEY
from lake.writer.source import Source
from lake.writer.target import WRITER

LATELY: Final = timedelta(hours=24)
"""How far back dead letters are counted."""

COMMITS_LOOKED_AT: Final = 50
"""Among so many last commits the writer's newest is looked for; others are maintenance's."""

AWAY: Final = (DeltaError, OSError, LakeError)


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One contract's bronze table."""

    facts: TableFacts
    writer: str
    """The name of the writer that fills it."""
    committed_at: datetime | None
    """When a writer last committed to it; None: not among its last commits."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """Dead letters of the last 24 hours, by reason."""


@dataclass(frozen=True, slots=True)
class LakeSide:
    """Everything the lake says."""

    tables: Mapping[str, TableStatus] = field(default_factory=dict)
    """By the name of the contract; a contract that has none yet is left out."""
    positions: Mapping[Source, int | None] = field(default_factory=dict)
    """The last offset in the lake of each source that is read now."""
    begins: Mapping[Source, int] = field(default_factory=dict)
    """The offset where reading of a source began."""
    gaps: tuple[Entry, ...] = ()
    """Offsets that a person accepted as lost."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Why a table, or ``journal``, cannot be read."""


def look_at_tables(lake: Lake, contracts: Iterable[Contract], now: datetime) -> LakeSide:
    """Read the tables' logs, and of the data only the newest dead letters.

    What cannot be read is told, not raised.
    """
    try:
        entries = Journal(lake, "").entries()
    except AWAY as error:
        return LakeSide(unreadable={"journal": _why(error)})
    tables: dict[str, TableStatus] = {}
    positions: dict[Source, int | None] = {}
    unreadable: dict[str, str] = {}
    known = incarnations(entries)
    dead: Mapping[str, Mapping[str, int]] = {}
    try:
        dead = _dead_letters(lake, now)
    except AWAY as error:
        unreadable[DEAD_LETTERS] = _why(error)
    for contract in contracts:
        try:
            if not lake.exists("bronze", contract.name):
                continue
            table = lake.open("bronze", contract.name)
            status = _table(contract.name, table, dead.get(contract.name, {}))
            for source in known.values():
                if source.topic == contract.topic:
                    app_id = source.app_id(status.writer, contract.name)
                    positions[source] = table.transaction_version(app_id)
            tables[contract.name] = status
        except AWAY as error:
            unreadable[contract.name] = _why(error)
    return LakeSide(
        tables,
        positions,
        {e.source: e.first_offset or 0 for e in entries if e.kind != "gap_accepted"},
        tuple(entry for entry in entries if entry.kind == "gap_accepted"),
        unreadable,
    )


def _table(name: str, table: DeltaTable, dead: Mapping[str, int]) -> TableStatus:
    return TableStatus(
        facts=facts("bronze", name, table),
        writer=table.metadata().configuration.get(WRITER, ""),
        committed_at=_committed_at(table),
        dead=dead,
    )


def _committed_at(table: DeltaTable) -> datetime | None:
    """Return when the newest commit with messages was made, as its writer recorded it."""
    for info in table.history(COMMITS_LOOKED_AT):
        record = json.loads(info.get(METADATA_KEY) or "{}")
        if record.get("partitions"):
            return datetime.fromisoformat(record["committed_at"])
    return None


def _dead_letters(lake: Lake, now: datetime) -> Mapping[str, Mapping[str, int]]:
    """Return how many dead letters came lately, by contract and reason."""
    if not lake.exists("bronze", DEAD_LETTERS):
        return {}
    since = (now - LATELY).astimezone(UTC)
    rows = read_rows(
        lake.open("bronze", DEAD_LETTERS),
        ["contract", "reason", "_committed_at"],
        f"_ingest_date >= date '{since.date().isoformat()}'",
    )
    stamps = rows["_committed_at"].cast(pa.timestamp("us", "UTC"))
    rows = rows.select(["contract", "reason"]).cast(
        pa.schema([("contract", pa.string()), ("reason", pa.string())])
    )
    rows = rows.filter(pc.greater_equal(stamps, pa.scalar(since, pa.timestamp("us", "UTC"))))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    counted = rows.group_by(["contract", "reason"]).aggregate([([], "count_all")])
    for row in counted.to_pylist():
        found[row["contract"]][row["reason"]] = row["count_all"]
    return found


def _why(error: Exception) -> str:
    return error.message if isinstance(error, LakeError) else in_one_line(error)
