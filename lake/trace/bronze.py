"""The rows of bronze that an event id has, and the file and commit that brought each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import duckdb
from deltalake import DeltaTable

from ingest.contracts.exact import TENANT
from ingest.contracts.model import Contract
from lake.commit_ranges import Ranges, recorded
from lake.dead_letters.history import Happening, replays_of
from lake.duck import delta_scan, quote_name
from lake.tables import Lake
from lake.writer.source import Source

REQUEST: Final = "request_id"
WRITE_KEY: Final = "write_key_id"


@dataclass(frozen=True, slots=True)
class BronzeRow:
    """One row."""

    contract: str
    contract_version: str
    source: Source
    offset: int
    key: dict[str, str | None]
    """The columns that identify the event, tenant included."""
    appended_at: datetime
    committed_at: datetime
    file: str
    """The data file that has it now, relative to the table; compaction may have moved it."""
    versions: tuple[int, int] | None
    """The Delta version that brought it, twice; first and last of several where the log of that
    time has been folded; None where nothing recorded it."""
    request_id: str | None = None
    write_key_id: str | None = None
    replay: Happening | None = None
    """The replay that made it of a dead letter."""

    @property
    def tenant_id(self) -> str | None:
        """Whose event it is."""
        return self.key.get(TENANT)


def id_column(contract: Contract) -> str | None:
    """Return the column that holds an event's id: the one of the key that is no tenant."""
    columns = [name for name in contract.key if name != TENANT]
    return columns[0] if len(columns) == 1 else None


def bronze_rows(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    contracts: Iterable[Contract],
    event_id: str,
    tenant: str | None,
) -> list[BronzeRow]:
    """Return the rows of all contracts' tables, those committed first before the others."""
    found: list[BronzeRow] = []
    for contract in contracts:
        column = id_column(contract)
        if column is not None and lake.exists("bronze", contract.name):
            found += _rows_of(lake, connection, contract, column, event_id, tenant)
    return sorted(found, key=lambda row: row.committed_at)


def _rows_of(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    column: str,
    event_id: str,
    tenant: str | None,
) -> list[BronzeRow]:
    name = contract.name
    table = lake.open("bronze", name)
    there = {field.name for field in table.schema().fields}
    if column not in there:
        return []
    optional = [c for c in (REQUEST, WRITE_KEY) if c in there]
    values: dict[str, Any] = {"event_id": event_id}
    where = f"{quote_name(column)} = $event_id"
    if tenant is not None and TENANT in there:
        values["tenant"] = tenant
        where += f" and {TENANT} = $tenant"
    wanted = [
        *contract.key, *optional, "_topic", "_topic_id", "_partition", "_offset", "_appended_at",
        "_committed_at", "_contract_version", "filename",
    ]  # fmt: skip
    scan = delta_scan(lake.uri("bronze", name), table.version())
    cursor = connection.execute(
        f"select {', '.join(map(quote_name, wanted))} from {scan} where {where}", values
    )
    rows = [dict(zip(wanted, row, strict=True)) for row in cursor.fetchall()]
    if not rows:
        return []
    table, ranges = recorded(lake, name, table)
    replays = {(one.source, one.offset): one for one in replays_of(lake, name, table)}
    return [_row(contract, row, table, ranges, replays) for row in rows]


def _row(
    contract: Contract,
    row: dict[str, Any],
    table: DeltaTable,
    ranges: Ranges,
    replays: dict[tuple[Source, int], Happening],
) -> BronzeRow:
    source = Source(row["_topic"], row["_topic_id"], row["_partition"])
    offset = row["_offset"]
    replay = replays.get((source, offset))
    if replay is not None and replay.version is not None:
        versions: tuple[int, int] | None = (replay.version, replay.version)
    else:
        versions = next(
            (
                (one.version, one.version if one.to_version is None else one.to_version)
                for one in ranges.get(source, [])
                if one.first <= offset <= one.last
            ),
            None,
        )
    return BronzeRow(
        contract=contract.name,
        contract_version=row["_contract_version"],
        source=source,
        offset=offset,
        key={name: row[name] for name in contract.key},
        appended_at=row["_appended_at"],
        committed_at=row["_committed_at"],
        file=_relative(row["filename"], table),
        versions=versions,
        request_id=row.get(REQUEST),
        write_key_id=row.get(WRITE_KEY),
        replay=replay,
    )


def _relative(file: str, table: DeltaTable) -> str:
    marker = "/" + table.table_uri.rstrip("/").rpartition("/")[2] + "/"
    return file.rpartition(marker)[2] if marker in file else file
