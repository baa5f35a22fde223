"""What a dashboard asks of a gold table: one tenant's last 30 days, by day and one dimension."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lake.duck import quote_name, quote_text
from lake.tables import Lake

DAYS: Final = 30


def dashboard_queries(lake: Lake) -> dict[str, str]:
    """Return a query for each gold table: its numbers added up, with literals for its filters."""
    return {name: _query(lake, name) for name in lake.names("gold")}


def _query(lake: Lake, name: str) -> str:
    table = lake.open("gold", name)
    schema = pa.schema(table.schema().to_arrow())
    sums = [f"sum({quote_name(f.name)})" for f in schema if _is_number(f.type)]
    measures = ["count(*)", *sums]
    partitions = table.metadata().partition_columns
    relation = f"gold.{quote_name(name)}"
    if len(partitions) != 2:
        return f"select tenant_id, {', '.join(measures)} from {relation} group by all order by 1"
    _, day = partitions
    files = pa.table(table.get_add_actions(flatten=True))
    newest = pc.max(files[f"partition.{day}"]).as_py()
    tenant = pc.min(files["partition.tenant_id"]).as_py()
    dimension = next(
        (f.name for f in schema if pa.types.is_string(f.type) and not _is_key(f.name)), None
    )
    by = [quote_name(one) for one in (day, dimension) if one is not None]
    return (
        f"select {', '.join([*by, *measures])} from {relation} "
        f"where tenant_id = {quote_text(str(tenant))} "
        f"and {quote_name(day)} > date {quote_text(str(newest))} - {DAYS} "
        "group by all order by all"
    )


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_key(name: str) -> bool:
    """Whether a column is the tenant or has a value of its own in nearly every row."""
    return name.endswith(("_id", "_key")) and name not in ("site_id", "campaign_id")
