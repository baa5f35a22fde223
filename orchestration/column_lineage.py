"""From which columns of its upstreams each column of a model is made, read off its SQL by sqlglot.

dagster-dbt does this for dbt as another process; here dbt runs in the run's own (ADR 060). The SQL
is that of a full load, compiled where there is no lake: what an increment reads instead are views
of the same columns. It takes some seconds, so it is kept beside the parsed project, and made anew
when that changes.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from dagster import MetadataValue, TableColumnDep, TableColumnLineage

from lake.dbt_run import PROJECT, run_dbt
from lake.tables import Layer
from orchestration.dbt_manifest import fingerprint
from orchestration.keys import table_key
from orchestration.translator import layer_of

if TYPE_CHECKING:
    from sqlglot import exp

logger = logging.getLogger(__name__)

METADATA: Final = "dagster/column_lineage"
READABLE: Final = "columns are made of"
DIALECT: Final = "duckdb"

Origins = dict[str, list[tuple[Layer, str, str]]]
"""Column: the columns that it is made of, each as layer, table, column."""

_turn = threading.Lock()
_known: dict[str, dict[str, Any]] = {}
"""What this process has read, by the fingerprint of the project."""


def load_lineage(manifest: Mapping[str, Any], folder: Path) -> dict[str, Origins]:
    """Return the origins of the columns of every model, by ``<layer>.<table>``.

    They are kept in ``folder``. A model whose SQL sqlglot does not understand is left out, and
    logged.

    Raises:
        BuildError: the project does not compile.
    """
    mark = fingerprint(PROJECT)
    kept = folder / f"lineage-{mark}.json"
    with _turn:
        if mark not in _known:
            _known.clear()
            _known[mark] = json.loads(kept.read_bytes()) if kept.exists() else _read_off(manifest)
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob("lineage-*.json"):
                old.unlink(missing_ok=True)
            draft = kept.with_suffix(".json.new")
            draft.write_text(json.dumps(_known[mark]))
            draft.replace(kept)
        return _known[mark]


def lineage_metadata(origins: Origins) -> dict[str, Any]:
    """Return the origins of a table's columns for Dagster, and as a table for its readers.

    The page of the open-source Dagster draws no graph of columns, and shows its own entry as JSON.
    """
    deps = {
        column: [TableColumnDep(table_key(layer, table), name) for layer, table, name in found]
        for column, found in origins.items()
    }
    rows = [
        f"| {column} | {', '.join('.'.join(origin) for origin in found)} |"
        for column, found in origins.items()
    ]
    return {
        METADATA: TableColumnLineage(deps),
        READABLE: MetadataValue.md("\n".join(["| column | made of |", "|---|---|", *rows])),
    }


def _read_off(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Compile the models and read off each what its columns are made of."""
    from sqlglot.errors import SqlglotError

    columns = _columns(manifest)
    found: dict[str, Any] = {}
    with TemporaryDirectory(prefix="lakeward-lineage-") as scratch:
        arguments = ["compile", "--full-refresh", "--select", "resource_type:model"]
        result = run_dbt(arguments, home=Path(scratch), lake_root=str(Path(scratch) / "lake"))
        for node in result.models():
            if node.compiled is None:
                continue
            try:
                found[node.label] = origins_of(node.compiled.read_text(encoding="utf-8"), columns)
            except SqlglotError as error:
                logger.warning(
                    "no column lineage", extra={"model": node.label, "error": str(error)[:500]}
                )
    return found


def _columns(manifest: Mapping[str, Any]) -> dict[tuple[Layer, str], dict[str, str]]:
    """Return the columns of every table that a model may read, with types where they are known."""
    found: dict[tuple[Layer, str], dict[str, str]] = {}
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        layer = layer_of(node)
        if layer is not None and node["resource_type"] in ("model", "seed", "source"):
            said = {name: one.get("data_type") for name, one in node["columns"].items()}
            types = said or node["config"].get("column_types", {})
            table = str(node.get("identifier") or node["alias"])
            found[layer, table] = {name: kind or "varchar" for name, kind in types.items()}
    return found


def origins_of(sql: str, columns: Mapping[tuple[Layer, str], Mapping[str, str]]) -> Origins:
    """Return what each column that ``sql`` selects is made of.

    Args:
        sql: one select of DuckDB's, its tables named ``memory.<layer>.<table>``.
        columns: the columns of these tables, and their types.

    Raises:
        SqlglotError: the SQL is not understood.
    """
    from sqlglot import MappingSchema, exp, parse_one
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify

    schema = MappingSchema(dialect=DIALECT)
    for (layer, table), names in columns.items():
        schema.add_table(f"memory.{layer}.{table}", dict(names), dialect=DIALECT)
    query = qualify(parse_one(sql, dialect=DIALECT), schema=schema, dialect=DIALECT)
    _put_in_order(query)
    tables = {(str(layer), table): (layer, table) for layer, table in columns}
    found: Origins = {}
    for column, node in lineage(None, query.sql(dialect=DIALECT), schema, dialect=DIALECT).items():
        leaves = set()
        for leaf in node.walk():
            read = None if leaf.downstream else leaf.expression.find(exp.Table)
            known = None if read is None else tables.get((read.db, read.name))
            if known is not None:
                leaves.add((*known, exp.to_column(leaf.name).name))
        found[column] = sorted(leaves)
    return found


def _put_in_order(query: exp.Expr) -> None:
    """Give all parts of each ``union by name`` the same columns in one order.

    sqlglot looks for a column of a union by its place.
    """
    from sqlglot import exp

    for union in query.find_all(exp.SetOperation):
        if not union.args.get("by_name"):
            continue
        names = union.named_selects
        parts: list[exp.Expr] = [union]
        while parts:
            part = parts.pop()
            if isinstance(part, exp.SetOperation):
                part.set("by_name", False)
                parts += [part.left.unnest(), part.right.unnest()]
            elif isinstance(part, exp.Select):
                said = {one.alias_or_name: one for one in part.selects}
                filled = [said.get(name) or exp.alias_(exp.null(), name) for name in names]
                part.set("expressions", filled)
