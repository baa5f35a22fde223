"""The rows that are exported: one version of a mart, read by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

import duckdb

from lake.duck import connect, delta_scan, quote_name, quote_text
from lake.file_rows import column_types
from lake.tables import Lake
from serving.errors import ExportError
from serving.export.selection import Condition, Selection, select
from serving.mart import LAYER, Mart
from serving.publish.encoding import MOMENT

FileFormat = Literal["csv", "parquet"]
Compression = Literal["none", "gzip", "zstd"]
_CSV: Final = "format csv, header, nullstr ''"


@dataclass(frozen=True, slots=True)
class Source:
    """A mart at one version, and which rows of it."""

    cursor: duckdb.DuckDBPyConnection
    mart: Mart
    version: int
    types: Mapping[str, str]
    """DuckDB's type of each column, in order."""
    scan: str
    selection: Selection

    def write(self, path: Path, form: FileFormat, compression: Compression) -> int:
        """Write the rows to a file, in the order of the key; return how many they are.

        CSV has a header, dates and times in ISO 8601 (UTC), nothing for null and ``""`` for an
        empty text.

        Raises:
            ExportError: a condition's value is not of its column's type, or a file is gone.
        """
        options = _CSV if form == "csv" else "format parquet"
        packed = "uncompressed" if (form, compression) == ("parquet", "none") else compression
        try:
            row = self.cursor.execute(
                f"copy ({self._query(form)}) to {quote_text(str(path))} "
                f"({options}, compression {quote_text(packed)})"
            ).fetchone()
        except duckdb.ConversionException as error:
            raise ExportError(f"a condition cannot be read: {_first_line(error)}") from error
        except duckdb.Error as error:
            raise ExportError(
                f"{self.mart.label} cannot be exported: {_first_line(error)}"
            ) from error
        assert row is not None
        return int(row[0])

    def _query(self, form: FileFormat) -> str:
        columns = ", ".join(
            f"strftime({quote_name(name)}, '{MOMENT}') as {quote_name(name)}"
            if form == "csv" and kind == "TIMESTAMP WITH TIME ZONE"
            else quote_name(name)
            for name, kind in self.types.items()
        )
        where = self.selection.sql(self.types)
        order = ", ".join(quote_name(name) for name in self.mart.key)
        return (
            f"select {columns} from {self.scan} {f'where {where}' if where else ''} "
            f"order by {order}"
        )


@contextmanager
def open_source(
    lake: Lake,
    mart: Mart,
    *,
    where: tuple[Condition, ...] = (),
    tenant: str | None = None,
    since: date | None = None,
    before: date | None = None,
) -> Iterator[Source]:
    """Open the newest version of a mart; what the conditions are is said at ``select``.

    Raises:
        MissingTableError: it is not built yet.
        MartError: the key names a column that is not there.
        ExportError: a condition names one.
    """
    version = lake.open(LAYER, mart.name).version()
    uri = lake.uri(LAYER, mart.name)
    with connect(lake) as cursor:
        types = column_types(cursor, delta_scan(uri, version))
        mart.require_key(types)
        selection = select(
            types, mart.label, where=where, tenant=tenant, since=since, before=before
        )
        yield Source(cursor, mart, version, types, delta_scan(uri, version), selection)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
