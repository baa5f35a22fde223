"""Everything the lake knows of one event id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from ingest.contracts.exact import TENANT
from ingest.contracts.json_text import Members, NotJsonError, parse
from ingest.contracts.model import Contract
from lake.dead_letters.reading import LetterReader
from lake.duck import connect
from lake.inventory import require_tables
from lake.tables import DEAD_LETTERS, Lake
from lake.trace.bronze import BronzeRow, bronze_rows, id_column
from lake.trace.gold import Bucket, gold_buckets
from lake.trace.silver import InSilver, silver_fate

MOST_LETTERS: Final = 20


@dataclass(frozen=True, slots=True)
class RowLife:
    """One bronze row and what became of it."""

    bronze: BronzeRow
    silver: InSilver
    gold: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """What there is of an event id: rows, and dead letters with their histories."""

    event_id: str
    rows: tuple[RowLife, ...]
    letters: tuple[dict[str, Any], ...] = field(default=())
    """As ``LetterReader.whole`` has them."""

    @property
    def is_unknown(self) -> bool:
        """True when the lake has nothing of that id."""
        return not self.rows and not self.letters


def trace(
    lake: Lake,
    contracts: Iterable[Contract],
    event_id: str,
    *,
    tenant: str | None = None,
    contract: str | None = None,
) -> Life:
    """Tell the life of an event.

    Reads the id column of each contract's bronze table, and the payloads of the dead letters.

    Args:
        lake: which lake.
        contracts: say which column holds an event's id.
        event_id: the id, as the producer gave it.
        tenant: only this tenant's; ids are unique within a tenant only.
        contract: only events of this contract.

    Raises:
        LakePathError: there is no lake.
        QueryError: DuckDB cannot be started.
    """
    require_tables(lake)
    chosen = [one for one in contracts if contract in (None, one.name)]
    connection = connect(lake)
    try:
        rows = []
        for row in bronze_rows(lake, connection, chosen, event_id, tenant):
            silver = silver_fate(lake, connection, row)
            buckets: list[Bucket] = []
            if silver.fate == "row" and row.tenant_id is not None:
                buckets = gold_buckets(lake, connection, row.tenant_id, silver)
            rows.append(RowLife(row, silver, tuple(buckets)))
    finally:
        connection.close()
    letters: list[dict[str, Any]] = []
    if lake.exists("bronze", DEAD_LETTERS):
        letters = _letters(lake, chosen, event_id, tenant, rows)
    return Life(event_id, tuple(rows), tuple(letters))


def _letters(
    lake: Lake,
    contracts: list[Contract],
    event_id: str,
    tenant: str | None,
    rows: list[RowLife],
) -> list[dict[str, Any]]:
    """Return the letters that name the event, and those of which its rows were made."""
    named = {one.name: one for one in contracts}
    replayed = {
        (row.bronze.source.topic_id, row.bronze.source.partition, row.bronze.offset)
        for row in rows
        if row.bronze.replay is not None
    }
    with LetterReader(lake) as reader:
        theirs = (
            letter
            for letter in reader.that_hold(event_id, replayed)
            if letter["contract"] in named
            and tenant in (None, letter["tenant_id"], _said(letter, named, TENANT))
            and (
                (letter["_topic_id"], letter["_partition"], letter["_offset"]) in replayed
                or _said(letter, named, None) in (event_id, _UNREADABLE)
            )
        )
        # counted after the others are out, or letters of other events would crowd these out
        return list(islice(theirs, MOST_LETTERS))


_UNREADABLE: Final = "\0"


def _said(letter: dict[str, Any], contracts: dict[str, Contract], column: str | None) -> str | None:
    """Return what a letter says in a column, by default in that of the event's id."""
    contract = contracts[letter["contract"]]
    wanted = column or id_column(contract)
    payload = letter["payload"]
    try:
        value = parse((payload or b"").decode())
    except (UnicodeDecodeError, NotJsonError):
        return _UNREADABLE if column is None else None
    if not isinstance(value, Members) or wanted is None:
        return _UNREADABLE if column is None else None
    names = [f.payload_name for f in contract.fields if f.name == wanted]
    said = dict(value).get(names[0]) if names else None
    return said if isinstance(said, str) else None
