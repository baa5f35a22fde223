"""Which data files of a table may hold one of some keys, without reading the table.

A key that comes again may have come at any time, so new keys are looked up in all of history. But
a data file never changes: what was worked out of it once holds for as long as it is there. So a
hash of each key, 8 bytes a row, is kept on this machine for each data file, and only files in
which a hash is the same are read. What is missing or torn is worked out again. See ADR 122.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.delta_log import DataFile, locate_files
from lake.duck import quote_name
from lake.file_rows import rows_of_files
from lake.increments import Pinned

FIRST_BITS: Final = 24
"""Of a hash, by which nearly all others are told apart at the first look: a table of 16 MB."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class KeyHashes:
    """The hashes of the keys of one table's data files, in a folder of their own."""

    folder: Path
    pinned: Pinned
    """The version whose files are looked at."""
    key: Sequence[str]
    """Columns that are in the data files, as partition columns are not."""
    types: Mapping[str, str]
    """DuckDB's type of each column of the table, in order."""

    def rows_near(self, cursor: duckdb.DuckDBPyConnection, staged: str) -> str:
        """Return a query of the rows of every file that may hold a key of the table ``staged``.

        Its columns must have the types of the table: equal values of two types have two hashes.

        Raises:
            LogGoneError: vacuum has removed a file of the pinned version.
        """
        wanted = _fetch(cursor, f"select distinct {self._hash} as h from {staged}")
        if not len(wanted):
            return self._rows([])
        wanted.sort()
        is_first = np.zeros(1 << FIRST_BITS, bool)
        is_first[_first_bits(wanted)] = True
        near = []
        for file, hashes in self._of_files(cursor):
            candidates = hashes[is_first[_first_bits(hashes)]]
            if len(candidates) and _has_any(wanted, candidates):
                near.append(file)
        return self._rows(near)

    def _of_files(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[DataFile, Hashes]]:
        """Yield each data file with the hashes of its keys; forget the files that are gone."""
        assert self.pinned.table is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        known = set(os.listdir(self.folder))
        columns = self.pinned.table.metadata().partition_columns
        for added in pa.table(self.pinned.table.get_add_actions(flatten=True)).to_pylist():
            values = (added[f"partition.{name}"] for name in columns)
            file = DataFile(unquote(added["path"]), tuple(map(str, values)))
            name = self._name(file)
            known.discard(name)
            yield file, self._read(cursor, file, self.folder / name, added["num_records"])
        for name in known:
            (self.folder / name).unlink(missing_ok=True)

    def _read(
        self, cursor: duckdb.DuckDBPyConnection, file: DataFile, path: Path, rows: int | None
    ) -> Hashes:
        with suppress(FileNotFoundError):
            hashes = np.fromfile(path, np.uint64)
            if len(hashes) == rows:
                return hashes
        hashes = _fetch(cursor, f"select {self._hash} as h from ({self._rows([file])})")
        torn = path.with_name(f"{path.name}.{os.getpid()}")
        hashes.tofile(torn)
        with suppress(FileNotFoundError):  # another build of the table has tidied up meanwhile
            torn.replace(path)
        return hashes

    def _rows(self, files: Sequence[DataFile]) -> str:
        table = self.pinned.table
        assert table is not None
        addresses = locate_files(table, tuple(files), self.pinned.lake.storage_options)
        return rows_of_files(self.types, table.metadata().partition_columns, addresses)

    @property
    def _hash(self) -> str:
        return f"hash({', '.join(map(quote_name, self.key))})"

    def _name(self, file: DataFile) -> str:
        """Name what the hashes depend on: DuckDB promises them for one version only."""
        assert self.pinned.table is not None
        table = self.pinned.table.metadata().id
        parts = [duckdb.__version__, str(table), *self.key, file.path]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _fetch(cursor: duckdb.DuckDBPyConnection, sql: str) -> Hashes:
    fetched: Hashes = np.asarray(cursor.execute(sql).fetchnumpy()["h"], np.uint64)
    return fetched


def _first_bits(hashes: Hashes) -> Hashes:
    shifted: Hashes = hashes >> np.uint64(64 - FIRST_BITS)
    return shifted


def _has_any(wanted: Hashes, candidates: Hashes) -> bool:
    places = np.searchsorted(wanted, candidates)
    places[places == len(wanted)] = 0
    return bool((wanted[places] == candidates).any())
