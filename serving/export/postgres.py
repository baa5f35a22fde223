"""A mart as a table of PostgreSQL: made when missing, then kept the same by key.

All in one transaction, so that whoever reads the table sees it as it was or as it is. Rows go by
COPY into a staging table; what differs is inserted, updated or deleted, and no other row is touched
or locked. A table that was just made has nothing to differ from, so its rows go straight into it.
What an export selects is what it answers for: rows outside of the selection stay as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from serving.errors import ExportError
from serving.export.selection import Condition
from serving.export.source import Source

Cursor = psycopg.Cursor[tuple[Any, ...]]
SCHEMES: Final = ("postgresql://", "postgres://")
CONNECT_TIMEOUT_S: Final = 15
CHUNK: Final = 1 << 20
MARK: Final = "lakeward export of "
_STAGING: Final = sql.Identifier("lakeward_staging")
TYPES: Final = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}
"""DuckDB's types and PostgreSQL's; decimals keep their digits."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an export did to the table."""

    table: str
    rows: int
    """Selected rows; the table may have others."""
    inserted: int
    updated: int
    deleted: int
    was_made: bool


def is_postgres(address: str) -> bool:
    """Tell whether an address is one of PostgreSQL."""
    return address.startswith(SCHEMES)


def load(
    source: Source,
    address: str,
    table: str,
    *,
    recreate: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Loaded:
    """Make the selected rows of ``table`` those of ``source``.

    Args:
        source: which rows of which mart.
        address: ``postgresql://user@host/database``; a password is better kept in the file that
            PGPASSFILE names.
        table: ``name`` or ``schema.name``; the schema is made when missing.
        recreate: drop the table first, in the same transaction; for columns that changed.
        on_progress: is told how many bytes of how many were sent.

    Raises:
        ExportError: PostgreSQL does not answer or refuses, or the table is somebody else's or has
            other columns.
    """
    name = sql.Identifier(*table.split("."))
    columns = {column: _type(column, kind) for column, kind in source.types.items()}
    try:
        with psycopg.connect(address, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            cursor = connection.cursor()
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [table])
            was_made = _prepare(cursor, source, table, name, columns, recreate=recreate)
            if was_made:
                rows = inserted = _copy(cursor, source, name, on_progress)
                updated = deleted = 0
            else:
                rows = _stage(cursor, source, name, on_progress)
                updated = _update(cursor, source, name)
                inserted = _insert(cursor, source, name)
                deleted = _delete(cursor, source, name, columns)
            cursor.execute(
                sql.SQL("comment on table {} is {}").format(
                    name, f"{MARK}{source.mart.label}, version {source.version}"
                )
            )
    except psycopg.errors.NotNullViolation as error:
        raise ExportError(
            f"{source.mart.label} has a row without a value in its key: "
            f"{error.diag.message_primary}"
        ) from error
    except psycopg.OperationalError as error:
        raise ExportError(
            f"PostgreSQL at {_without_password(address)} cannot be used: {_in_one_line(error)}",
            hint="Nothing was changed. Is it up, and may this user sign in?",
        ) from error
    except psycopg.Error as error:
        raise ExportError(
            f"PostgreSQL refuses the export to {table}: {_in_one_line(error)}",
            hint="Nothing was changed.",
        ) from error
    return Loaded(table, rows, inserted, updated, deleted, was_made)


def _type(column: str, kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return "numeric" + kind.removeprefix("DECIMAL")
    if kind not in TYPES:
        raise ExportError(f"the column {column} has the type {kind}, which has no place in a table")
    return TYPES[kind]


def _prepare(
    cursor: Cursor,
    source: Source,
    table: str,
    name: sql.Identifier,
    columns: Mapping[str, str],
    *,
    recreate: bool,
) -> bool:
    """Make the table, as yet without its key, or make sure that it is the one; tell which."""
    found = cursor.execute(
        "select to_regclass(%s)::oid, obj_description(to_regclass(%s), 'pg_class')",
        [name.as_string(cursor), name.as_string(cursor)],
    ).fetchone()
    assert found is not None
    oid, comment = found
    if oid is not None:
        if not (comment or "").startswith(f"{MARK}{source.mart.label},"):
            raise ExportError(
                f"the table {table} is not an export of {source.mart.label}",
                hint="Its rows would be replaced. Take another name: --table SCHEMA.NAME",
            )
        if not recreate:
            _refuse_other_columns(cursor, oid, table, source, columns)
            return False
        cursor.execute(sql.SQL("drop table {}").format(name))
    if "." in table:
        schema = sql.Identifier(table.split(".")[0])
        cursor.execute(sql.SQL("create schema if not exists {}").format(schema))
    declared = [
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
        for column, kind in columns.items()
    ]
    cursor.execute(sql.SQL("create table {} ({})").format(name, sql.SQL(", ").join(declared)))
    return True


def _refuse_other_columns(
    cursor: Cursor, oid: int, table: str, source: Source, columns: Mapping[str, str]
) -> None:
    there: dict[str, str] = dict(
        cursor.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
            [oid],
        ).fetchall()
    )
    key = [
        row[0]
        for row in cursor.execute(
            "select a.attname from pg_index i cross join unnest(i.indkey) with ordinality k(n, at) "
            "join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n "
            "where i.indrelid = %s and i.indisprimary order by k.at",
            [oid],
        ).fetchall()
    ]
    if there != columns or key != list(source.mart.key):
        differing = sorted(c for c in {*there, *columns} if there.get(c) != columns.get(c))
        raise ExportError(
            f"the table {table} has other columns or another key than {source.mart.label} "
            f"({', '.join(differing) or ', '.join(key)})",
            hint="--recreate makes it anew, in one transaction; rights given on it go with it.",
        )


def _stage(
    cursor: Cursor,
    source: Source,
    name: sql.Identifier,
    on_progress: Callable[[int, int], None],
) -> int:
    cursor.execute(sql.SQL("create temp table {} (like {}) on commit drop").format(_STAGING, name))
    return _copy(cursor, source, _STAGING, on_progress)


def _copy(
    cursor: Cursor,
    source: Source,
    into: sql.Identifier,
    on_progress: Callable[[int, int], None],
) -> int:
    """Fill an empty table, and give it its key, which is less work than to keep it row by row."""
    with tempfile.TemporaryDirectory(prefix="lakeward-export-") as folder:
        path = Path(folder) / "rows.csv"
        rows = source.write(path, "csv", "none")
        total, done = path.stat().st_size, 0
        command = sql.SQL("copy {} ({}) from stdin (format csv, header)").format(
            into, _names(source.types)
        )
        with path.open("rb") as written, cursor.copy(command) as copy:
            while chunk := written.read(CHUNK):
                copy.write(chunk)
                done += len(chunk)
                on_progress(done, total)
    cursor.execute(
        sql.SQL("alter table {} add primary key ({})").format(into, _names(source.mart.key))
    )
    cursor.execute(sql.SQL("analyze {}").format(into))
    return rows


def _update(cursor: Cursor, source: Source, name: sql.Identifier) -> int:
    others = [column for column in source.types if column not in source.mart.key]
    if not others:
        return 0
    changes, was, now = (
        sql.SQL(", ").join(sql.SQL(each).format(sql.Identifier(column)) for column in others)
        for each in ("{0} = s.{0}", "t.{0}", "s.{0}")
    )
    cursor.execute(
        sql.SQL(
            "update {} as t set {} from {} as s where {} and ({}) is distinct from ({})"
        ).format(name, changes, _STAGING, _same_key(source), was, now)
    )
    return cursor.rowcount


def _insert(cursor: Cursor, source: Source, name: sql.Identifier) -> int:
    cursor.execute(
        sql.SQL(
            "insert into {} ({columns}) select {columns} from {} as s "
            "where not exists (select from {} as t where {})"
        ).format(name, _STAGING, name, _same_key(source), columns=_names(source.types))
    )
    return cursor.rowcount


def _delete(
    cursor: Cursor, source: Source, name: sql.Identifier, columns: Mapping[str, str]
) -> int:
    conditions = source.selection.conditions
    selected = [_condition(one, columns) for one in conditions]
    cursor.execute(
        sql.SQL("delete from {} as t where {}").format(
            name,
            sql.SQL(" and ").join(
                [
                    *selected,
                    sql.SQL("not exists (select from {} as s where {})").format(
                        _STAGING, _same_key(source)
                    ),
                ]
            ),
        ),
        [one.value for one in conditions],
    )
    return cursor.rowcount


def _condition(one: Condition, columns: Mapping[str, str]) -> sql.Composed:
    """Return a condition with a place for its value; text is compared by its bytes, as DuckDB."""
    kind = columns[one.column]
    return sql.SQL("t.{}{} {} %s::text::{}").format(
        sql.Identifier(one.column),
        sql.SQL(' collate "C"' if kind == "text" else ""),
        sql.SQL(one.operator),
        sql.SQL(kind),
    )


def _same_key(source: Source) -> sql.Composed:
    return sql.SQL(" and ").join(
        sql.SQL("s.{0} = t.{0}").format(sql.Identifier(column)) for column in source.mart.key
    )


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(one) for one in columns)


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _in_one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
