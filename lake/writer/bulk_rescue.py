"""What goes into ``_rescued``, for many rows at once.

Only what is plain is done here: members the contract does not know, members of a type that can
never fit, and timestamps finer than a microsecond. A string that is no date, or a number with too
many digits, takes the exact way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.exact import TENANT
from ingest.contracts.json_text import quoted
from ingest.contracts.model import Contract, FieldKind
from lake.writer.bulk_columns import Mask, Rows, first_bytes, picked, single, true, valid
from lake.writer.bulk_sql import BELOW_MICROSECOND, texts_query
from lake.writer.duckdb_batch import DuckdbBatch
from lake.writer.member_names import NameList

_MOST_UNKNOWN: Final = 100
"""Different unknown names in a batch; rows with more take the exact way."""

_DIGITS: Final = b"0123456789"
_NEVER_FITS: Final[dict[FieldKind, bytes]] = {
    "string": b"{[tf" + _DIGITS,
    "integer": b'"{[tf',
    "number": b'"{[tf',
    "decimal": b"{[tf",
    "boolean": b'"{[' + _DIGITS,
    "timestamp": b"{[tf" + _DIGITS,
    "date": b"{[tf" + _DIGITS,
    "map": b'"[tf' + _DIGITS,
    "json": b"",
}
"""First bytes of the JSON text of what is of another type; - could begin -Infinity."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """Rows that were rescued; for the others nothing is said."""

    rows: Rows
    texts: list[str]
    """The JSON object of each."""
    fields: int
    """How many members are in them."""


class BulkRescue:
    """Writes ``_rescued`` for the rows of one contract."""

    def __init__(self, contract: Contract, duckdb: DuckdbBatch) -> None:
        self._fields = contract.fields
        self._duckdb = duckdb
        self._never_fits = [
            np.isin(np.arange(256), list(_NEVER_FITS[field.kind])) for field in contract.fields
        ]

    def rescue(
        self, columns: list[pa.Array], texts: pa.Array, rows: Rows, names: Sequence[NameList]
    ) -> Rescued:
        """Rescue what is plain of ``rows``, and take it out of ``columns``.

        Args:
            columns: the values of the whole batch; a string column loses what is no string.
            texts: the messages of the whole batch.
            rows: the rows to look at: JSON objects that have their required columns.
            names: the member names of each of these rows, none there twice.
        """
        unknown = self._unknown(names)
        number = {name: len(self._fields) + n for n, name in enumerate(unknown)}
        known_names = [field.payload_name for field in self._fields]
        found = self._duckdb.run(texts_query([*known_names, *unknown]), picked(texts, rows))
        plain = ~true(found["odd"])
        plain &= np.array([all(name in number for name in one.unknown) for one in names])
        rescued: list[tuple[str, int, Rows]] = []
        for n, name in enumerate(known_names):
            misfit, doubtful = self._misfits(n, single(found[f"t{n}"]), picked(columns[n], rows))
            plain &= ~doubtful
            rescued.append((name, n, np.flatnonzero(misfit)))
        for name, at in self._where(unknown, names).items():
            rescued.append((name, number[name], at))
        cells: defaultdict[int, list[tuple[int, str, str | None]]] = defaultdict(list)
        for name, n, everywhere in rescued:
            at = everywhere[plain[everywhere]]
            for row, text in zip(at.tolist(), _texts(found, n, at), strict=True):
                cells[row].append((names[row].position[name], name, text))
            if n < len(self._fields) and self._fields[n].kind == "string" and len(at):
                columns[n] = _without(columns[n], rows[at])
        done = sorted(cells)
        return Rescued(
            rows=rows[np.array(done, np.int64)],
            texts=[_object(cells[row]) for row in done],
            fields=sum(len(cells[row]) for row in done),
        )

    def _unknown(self, names: Sequence[NameList]) -> list[str]:
        distinct: dict[str, None] = {}
        for one in names:
            if len(distinct) + len(one.unknown) <= _MOST_UNKNOWN:
                distinct.update(dict.fromkeys(one.unknown))
        return list(distinct)

    def _where(self, unknown: list[str], names: Sequence[NameList]) -> dict[str, Rows]:
        rows: dict[str, list[int]] = {name: [] for name in unknown}
        for row, one in enumerate(names):
            for name in one.unknown:
                if name in rows:
                    rows[name].append(row)
        return {name: np.array(at, np.int64) for name, at in rows.items()}

    def _misfits(self, n: int, texts: pa.Array, column: pa.Array) -> tuple[Mask, Mask]:
        """Return where a field is to be rescued if the row is plain, and where it is not."""
        field = self._fields[n]
        there, first = valid(texts), first_bytes(texts)
        never = there & self._never_fits[n][first]
        if field.kind == "string":
            doubtful = there & (first != ord('"'))
            must_fit = field.required or field.name == TENANT
            return never, doubtful if must_fit else doubtful & ~never
        doubtful = there & ~never & ~valid(column)
        if field.kind == "timestamp":
            never |= true(pc.match_substring_regex(texts, BELOW_MICROSECOND))
        return never, doubtful


def _texts(found: pa.Table, n: int, at: Rows) -> list[str | None]:
    texts: list[str | None] = picked(single(found[f"t{n}"]), at).to_pylist()
    return texts


def _without(column: pa.Array, rows: Rows) -> pa.Array:
    keep = np.ones(len(column), np.bool_)
    keep[rows] = False
    return pc.if_else(pa.array(keep), column, pa.scalar(None, column.type))


def _object(cells: list[tuple[int, str, str | None]]) -> str:
    members = ",".join(f"{quoted(name)}:{text or 'null'}" for _, name, text in sorted(cells))
    return "{" + members + "}"
