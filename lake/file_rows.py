"""The SQL that reads some data files of a Delta table, and only these.

What came or went between two versions is a list of files, which no ``delta_scan`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from lake.duck import quote_name, quote_text


def column_types(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return DuckDB's type of each column, in order, of what is selected from in SQL."""
    described = cursor.execute(f"describe from {table}")
    return {str(row[0]): str(row[1]) for row in described.fetchall()}


def rows_of_files(
    types: Mapping[str, str], partition_columns: Sequence[str], addresses: Sequence[str]
) -> str:
    """Return a query of the rows of the files at ``addresses``; none without an address.

    The first branch gives the columns and types: a file that is older than a column lacks it, and
    partition columns are not in the files at all.
    """
    empty = ", ".join(f"null::{kind} as {quote_name(name)}" for name, kind in types.items())
    sql = f"select {empty} where false"
    if not addresses:
        return sql
    files = ", ".join(quote_text(address) for address in addresses)
    hive = ", ".join(f"{quote_text(name)}: {types[name]}" for name in partition_columns)
    partitions = f", hive_types = {{{hive}}}" if hive else ""
    return (
        f"{sql} union all by name from read_parquet([{files}], union_by_name = true, "
        f"hive_partitioning = {'true' if hive else 'false'}{partitions})"
    )
