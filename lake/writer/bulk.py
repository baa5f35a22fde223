"""Decoding a whole batch at once, and knowing for each row whether that was surely right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.arrow import payload_schema
from ingest.contracts.exact import TENANT
from ingest.contracts.model import Contract
from lake.writer.bulk_columns import (
    Mask,
    Rows,
    first_bytes,
    lengths,
    picked,
    single,
    texts_of,
    true,
    valid,
)
from lake.writer.bulk_rescue import BulkRescue, Rescued
from lake.writer.bulk_sql import (
    bytes_around,
    members_query,
    names_query,
    strings_query,
    values_query,
)
from lake.writer.duckdb_batch import DuckdbBatch
from lake.writer.member_names import NameLists

_GUARDED_FOR: Final = 100
"""Batches that are checked for broken JSON beforehand, once one had some."""

_MAYBE_NO_STRING: Final = np.isin(np.arange(256), list(b"-0123456789tfnNiI[{"))
"""First bytes of the JSON text of what is no string (NaN and Infinity are DuckDB's own)."""

_LIKE_NO_STRING: Final = (
    r"\A(?:-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false"
    r"|-?(?i:nan|inf|infinity)|(?s:[\[{].*))\z"
)
_NO_ROWS: Final[Rows] = np.array([], np.int64)


@dataclass(frozen=True, slots=True)
class BulkRows:
    """One entry a message in each column; entries of rows that are not sure mean nothing."""

    columns: list[pa.Array]
    """One a field of the contract, in its order and of its Arrow type."""
    sure: Mask
    """True where the message is a row and these are its values."""
    rescued: Rescued
    """What the sure rows have in ``_rescued``."""

    @staticmethod
    def none_sure(schema: pa.Schema, count: int) -> BulkRows:
        """Return rows of which nothing is known."""
        nothing = [pa.nulls(count, field.type) for field in schema]
        return BulkRows(nothing, np.zeros(count, np.bool_), Rescued(_NO_ROWS, [], 0))


class BulkDecoder:
    """Decodes batches of one contract in DuckDB; sure of a row only if ``exact`` would agree."""

    def __init__(
        self, contract: Contract, known_tenants: frozenset[str] | None, threads: int = 1
    ) -> None:
        fields = list(enumerate(contract.fields))
        self.schema = payload_schema(contract)
        self._fields = contract.fields
        self._strings = [n for n, field in fields if field.kind == "string"]
        self._required = [n for n, field in fields if field.required]
        self._tenant = next((n for n, field in fields if field.name == TENANT), None)
        self._tenants = (
            None if known_tenants is None else pa.array(sorted(known_tenants), pa.string())
        )
        self._around = {
            n: bytes_around(field) + len('""') for n, field in fields if field.kind == "string"
        }
        self._members_query = members_query(contract)
        self._guarded_query = values_query(contract, guarded=True)
        self._open_query = values_query(contract, guarded=False)
        self._guarded_for = 0
        self._names = NameLists(frozenset(field.payload_name for field in contract.fields))
        self._duckdb = DuckdbBatch(threads)
        self._rescue = BulkRescue(contract, self._duckdb)

    def decode(self, payloads: pa.Array) -> BulkRows:
        """Decode payloads (binary or large_binary; null for a tombstone).

        A row is sure without a second look if its values account for every byte of the message:
        nothing else can be in it then. (A value takes at least as many bytes there as it has
        here; for what may be otherwise ``bulk_sql`` counts more than there can be.) Otherwise it
        is sure if it has as many members as columns got values: then each member is known, there
        once, and fits. Otherwise its names tell.

        Raises:
            duckdb.Error: DuckDB could not; nothing is known about any row then.
        """
        texts = texts_of(payloads)
        found = self._values(texts)
        columns = [single(found[f"c{n}"]).cast(field.type) for n, field in enumerate(self.schema)]
        row = np.ones(len(texts), np.bool_)
        for n in self._required:
            row &= valid(columns[n])
        if self._tenants is not None and self._tenant is not None:
            row &= true(pc.is_in(columns[self._tenant], value_set=self._tenants))
        all_fit = ~true(found["finer"]) & self._strings_fit(columns, texts, row)
        sure = row & all_fit & self._accounts_for_all(found["counted"], columns, texts)
        rest = np.flatnonzero(row & ~sure)
        if not len(rest):
            return BulkRows(columns, sure, Rescued(_NO_ROWS, [], 0))
        rest = self._look_at_members(columns, texts, rest, all_fit, sure)
        all_fit &= ~true(found["unfit"])
        rescued = self._look_at_names(columns, texts, rest, all_fit, sure)
        return BulkRows(columns, sure, rescued)

    def close(self) -> None:
        """Give back what DuckDB holds."""
        self._duckdb.close()

    def _values(self, texts: pa.Array) -> pa.Table:
        """Run the quick query, or the guarded one if messages were broken not long ago."""
        if self._guarded_for == 0:
            try:
                return self._duckdb.run(self._open_query, texts)
            except duckdb.InvalidInputException:
                self._guarded_for = _GUARDED_FOR
        self._guarded_for -= 1
        return self._duckdb.run(self._guarded_query, texts)

    def _accounts_for_all(
        self, others: pa.ChunkedArray, columns: list[pa.Array], texts: pa.Array
    ) -> Mask:
        """Return where string columns and ``others`` make up an object's bytes, braces included."""
        counted = single(others).fill_null(0).to_numpy() + len("{}") - len(",")
        has_member = counted > len("{}") - len(",")
        for n in self._strings:
            there = valid(columns[n])
            counted = counted + lengths(columns[n]) + there * self._around[n]
            has_member |= there
        whole: Mask = has_member & (counted == lengths(texts))
        return whole

    def _look_at_members(
        self, columns: list[pa.Array], texts: pa.Array, rows: Rows, all_fit: Mask, sure: Mask
    ) -> Rows:
        """Add to ``sure`` the rows whose members are as many as their values; return the rest."""
        is_all = len(rows) == len(texts)
        found = self._duckdb.run(self._members_query, texts if is_all else picked(texts, rows))
        members = single(found["members"]).fill_null(0).to_numpy()
        filled = np.zeros(len(rows), np.int64)
        for column in columns:
            filled += valid(column)[rows]
        plausible = (members > 0) & ~true(found["odd"])
        counted = plausible & (filled == members) & all_fit[rows]
        sure[rows[counted]] = True
        rest: Rows = rows[plausible & ~counted]
        return rest

    def _look_at_names(
        self, columns: list[pa.Array], texts: pa.Array, rows: Rows, all_fit: Mask, sure: Mask
    ) -> Rescued:
        """Add to ``sure`` the rows that only have nulls, and those that can be rescued here."""
        if not len(rows):
            return Rescued(_NO_ROWS, [], 0)
        found = self._duckdb.run(names_query(), picked(texts, rows))
        keys = single(found["keys"]).dictionary_encode()
        lists = [self._names.read(joined) for joined in keys.dictionary.to_pylist()]
        which = keys.indices.to_numpy()
        counts = np.array([one.count for one in lists])
        each_once = counts[which] == single(found["members"]).to_numpy()
        known = np.array([not one.unknown for one in lists])[which]
        only_nulls = each_once & known & all_fit[rows]
        sure[rows[only_nulls]] = True
        others = np.flatnonzero(each_once & ~only_nulls)
        if not len(others):
            return Rescued(_NO_ROWS, [], 0)
        names = [lists[number] for number in which[others].tolist()]
        rescued = self._rescue.rescue(columns, texts, rows[others], names)
        sure[rescued.rows] = True
        return rescued

    def _strings_fit(self, columns: list[pa.Array], texts: pa.Array, row: Mask) -> Mask:
        """Return false for rows where a string column holds the text of something else.

        DuckDB gives a number or an object as its JSON text. Only values that read like one are
        looked at again.
        """
        doubted = {}
        for n in self._strings:
            rows = _reading_like_no_string(columns[n], row)
            if len(rows):
                doubted[n] = rows
        fit = np.ones(len(row), np.bool_)
        if doubted:
            rows = np.unique(np.concatenate(list(doubted.values())))
            query = strings_query(self._fields[n].payload_name for n in doubted)
            fit[rows] = true(self._duckdb.run(query, picked(texts, rows))["fits"])
        return fit


def _reading_like_no_string(column: pa.Array, among: Mask) -> Rows:
    """Return the rows whose text could be the JSON text of what is no string."""
    rows = np.flatnonzero(_MAYBE_NO_STRING[first_bytes(column)] & among)
    if not len(rows):
        return rows
    return rows[true(pc.match_substring_regex(picked(column, rows), _LIKE_NO_STRING))]
