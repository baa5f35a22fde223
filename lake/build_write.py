"""Bring what a model selects into its Delta table, by the model's strategy and the build's mode.

The SQL here is put together from the project's own models, names and dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from lake.attached import attached
from lake.build_run import SCRATCH
from lake.duck import quote_name, quote_text
from lake.errors import BuildError, ConcurrentBuildError
from lake.file_rows import column_types
from lake.increments import Plan
from lake.key_hashes import KeyHashes
from lake.maintenance.fence import step_over_maintenance
from lake.model_table import Buckets, append, replace_all, replace_buckets
from lake.slices import slices_for, stream

Strategy = Literal["insert_new", "replace_buckets"]
MAINTAINED_MEANWHILE = 5
"""How often a write is begun anew because maintenance moved the table's rows while it ran."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a build did to a table."""

    what: str
    """A verb in the past tense."""
    rows: int


def write(
    cursor: duckdb.DuckDBPyConnection,
    plan: Plan,
    request: dict[str, Any],
    *,
    key_hashes: Path,
    bucket_sql: str | None = None,
    kept_sql: str | None = None,
) -> Written:
    """Write the rows of ``request["sql"]``.

    Args:
        cursor: the DuckDB connection that knows the views of the run.
        plan: what is to be done.
        request: ``sql``, ``strategy``, ``partition_by``, ``unique_key``, ``looks_up_keys`` (a key
            may be in the table already), ``only_if_changed``, ``sliced_by``.
        key_hashes: the folder for hashes of the keys in the table's files.
        bucket_sql: gives the buckets to replace; without it those that changed upstream.
        kept_sql: gives rows of the table's own in these buckets that are written beside the others.

    Raises:
        BuildError: the rows do not fit the table.
        ConcurrentBuildError: another build wrote the table in the meantime.
    """
    for _ in range(MAINTAINED_MEANWHILE):
        try:
            return _write(cursor, plan, request, key_hashes, bucket_sql, kept_sql)
        except ConcurrentBuildError:
            if plan.own.table is None or not step_over_maintenance(
                plan.own.table, plan.own.lake.storage_options
            ):
                raise
    return _write(cursor, plan, request, key_hashes, bucket_sql, kept_sql)


def _write(
    cursor: duckdb.DuckDBPyConnection,
    plan: Plan,
    request: dict[str, Any],
    key_hashes: Path,
    bucket_sql: str | None,
    kept_sql: str | None,
) -> Written:
    sql: str = request["sql"]
    partition_by: Sequence[str] = request["partition_by"]
    strategy: Strategy | None = request["strategy"]
    if request.get("only_if_changed") and _is_same(cursor, plan, sql):
        return Written("left as it is:", 0)
    if plan.mode == "full" or strategy is None:
        slices = slices_for(cursor, plan, request["sliced_by"])
        rows = replace_all(plan, stream(cursor, [sql], slices), partition_by)
        count = len(slices)
        return Written("rebuilt:" if count == 1 else f"rebuilt in {count} slices:", rows)
    # not streamed: what a `union all` gives may stand still for ever (duckdb/duckdb#22215)
    staged = f"{quote_name(SCRATCH)}.{quote_name(plan.own.name + '__rows')}"
    cursor.execute(f"create or replace table {staged} as {sql}")
    try:
        types = _types_of_table(cursor, plan, staged)
        columns = ", ".join(map(quote_name, types))
        if plan.mode == "backfill":
            return _write_range(cursor, plan, staged, columns, partition_by)
        fresh = f"select {columns} from {staged}"
        if strategy == "replace_buckets":
            buckets = plan.buckets() if bucket_sql is None else buckets_of(cursor, bucket_sql)
            kept = [] if kept_sql is None else [f"select {columns} from ({kept_sql})"]
            rows = stream(cursor, [fresh, *kept])
            return Written("replaced:", replace_buckets(plan, rows, buckets))
        if request["looks_up_keys"]:
            fresh = _not_there_yet(cursor, plan, staged, types, request["unique_key"], key_hashes)
        return Written("added:", append(plan, stream(cursor, [fresh])))
    finally:
        cursor.execute(f"drop table if exists {staged}")


def _is_same(cursor: duckdb.DuckDBPyConnection, plan: Plan, sql: str) -> bool:
    """Tell whether the table holds exactly the rows of ``sql``."""
    if plan.own.table is None:
        return False
    own = f"from {attached(cursor, plan.own)}"
    if cursor.execute(f"describe {sql}").fetchall() != cursor.execute(f"describe {own}").fetchall():
        return False
    differing = cursor.execute(
        f"select 1 from (({sql} except all {own}) union all ({own} except all {sql})) limit 1"
    )
    return differing.fetchone() is None


def _write_range(
    cursor: duckdb.DuckDBPyConnection,
    plan: Plan,
    staged: str,
    columns: str,
    partition_by: Sequence[str],
) -> Written:
    """Replace the buckets of the date range whose rows differ from what is there now."""
    assert plan.own.table is not None
    assert plan.dates is not None
    tenant, day = (quote_name(name) for name in partition_by)
    rows = f"select {columns} from {staged}"
    current = (
        f"select {columns} from {attached(cursor, plan.own)} where {day} between "
        f"date '{plan.dates.first}' and date '{plan.dates.last}'"
    )
    outside = cursor.execute(
        f"select count(*) from {staged} where {day} not between "
        f"date '{plan.dates.first}' and date '{plan.dates.last}' or {day} is null"
    ).fetchone()
    if outside and outside[0]:
        raise BuildError(
            f"{plan.own.label} gave {outside[0]} rows outside of {plan.dates}",
            hint="let the model's SQL filter by {{ in_scope('" + partition_by[1] + "') }}",
        )
    differing = buckets_of(
        cursor,
        f"select distinct {tenant}, {day} from ("
        f"({rows} except all {current}) union all ({current} except all {rows}))",
    )
    if not differing:
        return Written("left as they are:", 0)
    cursor.execute(f"delete from {staged} where ({tenant}, {day}) not in ({_values(differing)})")
    return Written("replaced:", replace_buckets(plan, stream(cursor, [rows]), differing))


def _not_there_yet(
    cursor: duckdb.DuckDBPyConnection,
    plan: Plan,
    staged: str,
    types: Mapping[str, str],
    key: Sequence[str],
    key_hashes: Path,
) -> str:
    """Return the SQL of the staged rows whose key the table does not hold.

    The keys that are there already are looked up first, by a semi join that hashes the few new
    keys and streams what is there; the other way round would hash history.
    """
    assert plan.own.table is not None
    partitions = plan.own.table.metadata().partition_columns
    in_files = [name for name in key if name not in partitions]
    own = KeyHashes(key_hashes, plan.own, in_files, types).rows_near(cursor, staged)
    columns = ", ".join(map(quote_name, types))
    keys = ", ".join(quote_name(name) for name in key)
    same = " and ".join(f"o.{quote_name(k)} = n.{quote_name(k)}" for k in key)
    return (
        f"with known as (select {keys} from ({own}) as o where exists "
        f"(select 1 from {staged} as n where {same})) "
        f"select {columns} from {staged} as n "
        f"where not exists (select 1 from known as o where {same})"
    )


def _types_of_table(cursor: duckdb.DuckDBPyConnection, plan: Plan, staged: str) -> dict[str, str]:
    """Return the type of each column of the table in order; the staged rows must have the same."""
    wanted, there = column_types(cursor, staged), column_types(cursor, attached(cursor, plan.own))
    if wanted != there:
        differing = sorted(
            name for name in {*wanted, *there} if wanted.get(name) != there.get(name)
        )
        raise BuildError(
            f"the columns of {plan.own.label} have changed: {', '.join(differing)}",
            hint=f"rebuild it: dbt build --full-refresh --select {plan.own.name}+",
        )
    return there


def buckets_of(cursor: duckdb.DuckDBPyConnection, sql: str) -> Buckets:
    """Return the (tenant, date) pairs that a query gives."""
    found: list[tuple[str, date]] = cursor.execute(sql).fetchall()
    return frozenset((tenant, day) for tenant, day in found)


def _values(buckets: Buckets) -> str:
    return ", ".join(f"({quote_text(name)}, date '{day}')" for name, day in sorted(buckets))
