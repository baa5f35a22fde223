"""Decoding a whole batch at once, and knowing for each row whether that was surely right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.arrow import payload_schema
from ingest.contracts.model import Contract
from lake.writer.bulk_sql import BATCH, SEPARATOR, bulk_query, is_string_query
from lake.writer.exact import TENANT

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_MOST_VERDICTS: Final = 10_000
"""Distinct lists of member names to remember; a stream has a handful."""

_MAYBE_NO_STRING: Final = np.isin(np.arange(256), list(b"-0123456789tfnNiI[{"))
"""First bytes of the JSON text of what is no string (NaN and Infinity are DuckDB's own)."""

_LIKE_NO_STRING: Final = (
    r"\A(?:-?[0-9][0-9.eE+-]*|true|false|-?(?i:nan|inf|infinity)|(?s:[\[{].*))\z"
)


@dataclass(frozen=True, slots=True)
class BulkRows:
    """One entry a message in each column; entries of rows that are not sure mean nothing."""

    columns: list[pa.Array]
    """One a field of the contract, in its order and of its Arrow type."""
    sure: Mask
    """True where the message is a row, has nothing to rescue, and these are its values."""


class BulkDecoder:
    """Decodes batches of one contract in DuckDB; sure of a row only if ``exact`` would agree."""

    def __init__(
        self, contract: Contract, known_tenants: frozenset[str] | None, threads: int = 1
    ) -> None:
        self._schema = payload_schema(contract)
        self._payload_names = [field.payload_name for field in contract.fields]
        self._known_names = frozenset(self._payload_names)
        self._strings = [n for n, field in enumerate(contract.fields) if field.kind == "string"]
        self._required = [n for n, field in enumerate(contract.fields) if field.required]
        self._tenant = next((n for n, f in enumerate(contract.fields) if f.name == TENANT), None)
        self._known_tenants: pa.Array | None = None
        if known_tenants is not None:
            self._known_tenants = pa.array(sorted(known_tenants), pa.string())
        self._query = bulk_query(contract)
        self._verdicts: dict[str, int] = {}
        self._duckdb = duckdb.connect(
            config={
                "threads": threads,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._duckdb.execute("SET TimeZone = 'UTC'")

    def decode(self, payloads: pa.Array) -> BulkRows:
        """Decode payloads (binary or large_binary; null for a tombstone).

        Raises:
            duckdb.Error: DuckDB could not; nothing is known about any row then.
        """
        texts = payloads.view(_text_type(payloads.type))
        found = self._run(self._query, texts)
        columns = [_single(found[f"c{n}"]).cast(field.type) for n, field in enumerate(self._schema)]
        sure = ~(_true(found["odd"]) | _true(found["unfit"]))
        sure &= self._members_are_known(found)
        for n in self._required:
            if columns[n].null_count:
                sure &= _true(columns[n].is_valid())
        if self._known_tenants is not None and self._tenant is not None:
            sure &= _true(pc.is_in(columns[self._tenant], value_set=self._known_tenants))
        self._doubt_strings(columns, texts, sure)
        return BulkRows(columns, sure)

    def _run(self, query: str, texts: pa.Array) -> pa.Table:
        self._duckdb.register(BATCH, pa.table({"v": texts}))
        try:
            return self._duckdb.execute(query).to_arrow_table()
        finally:
            self._duckdb.unregister(BATCH)

    def _members_are_known(self, found: pa.Table) -> Mask:
        """True for objects whose members are all in the contract, each there once."""
        keys = _single(found["keys"]).dictionary_encode()
        counts = np.array([self._verdict(joined) for joined in keys.dictionary.to_pylist()] + [-1])
        expected = counts[keys.indices.fill_null(len(counts) - 1).to_numpy()]
        members = _single(found["members"]).fill_null(0).to_numpy()
        known: Mask = expected == members
        return known

    def _verdict(self, joined: str) -> int:
        """Return how many names ``joined`` has if all are known and different, else -1.

        A name that contains the separator makes the count differ from the object's.
        """
        verdict = self._verdicts.get(joined)
        if verdict is None:
            names = joined.split(SEPARATOR)
            known = len(set(names)) == len(names) and self._known_names.issuperset(names)
            verdict = len(names) if known else -1
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[joined] = verdict
        return verdict

    def _doubt_strings(self, columns: list[pa.Array], texts: pa.Array, sure: Mask) -> None:
        """Take back from ``sure`` where a string column holds the text of something else.

        DuckDB gives a number or an object as its JSON text. Only values that read like one are
        looked at again.
        """
        doubted: dict[int, Mask] = {}
        for n in self._strings:
            mask = _reads_like_no_string(columns[n], sure)
            if mask is not None:
                doubted[n] = mask
        if not doubted:
            return
        rows = np.flatnonzero(np.logical_or.reduce(list(doubted.values())))
        query = is_string_query(self._payload_names[n] for n in doubted)
        sure[rows] = _true(self._run(query, texts.take(pa.array(rows)))["fits"])

    def close(self) -> None:
        """Give back what DuckDB holds."""
        self._duckdb.close()


def _reads_like_no_string(column: pa.Array, sure: Mask) -> Mask | None:
    """True where a sure text could be the JSON text of no string; None when it never is."""
    _, offsets_buffer, data_buffer = column.buffers()
    if data_buffer is None or data_buffer.size == 0:
        return None
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset :][: len(column) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    mask = _MAYBE_NO_STRING[first] & (offsets[1:] > offsets[:-1]) & sure
    if not mask.any():
        return None
    rows = np.flatnonzero(mask)
    matches = pc.match_substring_regex(column.take(pa.array(rows)), _LIKE_NO_STRING)
    mask[rows] = _true(matches)
    return mask if mask.any() else None


def _true(booleans: pa.Array | pa.ChunkedArray) -> Mask:
    """Return where ``booleans`` is true, null counting as false."""
    filled: Mask = _single(booleans).fill_null(False).to_numpy(zero_copy_only=False)
    return filled


def _single(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return ``column`` as one array, without a copy if it is one chunk."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def _text_type(binary: pa.DataType) -> pa.DataType:
    return pa.large_string() if pa.types.is_large_binary(binary) else pa.string()
