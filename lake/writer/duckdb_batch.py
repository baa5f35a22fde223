"""A DuckDB of one's own that answers queries about one batch of texts."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lake.writer.bulk_sql import BATCH


class DuckdbBatch:
    """An in-memory DuckDB; for use by one thread at a time."""

    def __init__(self, threads: int) -> None:
        self._duckdb = duckdb.connect(
            config={
                "threads": threads,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._duckdb.execute("SET TimeZone = 'UTC'")

    def run(self, query: str, texts: pa.Array) -> pa.Table:
        """Return what ``query`` finds in ``texts``.

        Raises:
            duckdb.Error: DuckDB could not; its message may quote a text, so never log it.
        """
        self._duckdb.register(BATCH, pa.table({"v": texts}))
        try:
            return self._duckdb.execute(query).to_arrow_table()
        except UnicodeDecodeError:
            # DuckDB quotes the text that is no JSON, and Python cannot read the quotation.
            raise duckdb.InvalidInputException("a text is not UTF-8") from None
        finally:
            self._duckdb.unregister(BATCH)

    def close(self) -> None:
        """Give back what DuckDB holds."""
        self._duckdb.close()
