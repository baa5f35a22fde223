"""What a column is made of, as Dagster shows it: read off the SQL of the models."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lake.tables import Layer
from orchestration.column_lineage import METADATA, READABLE, Origins, lineage_metadata, origins_of

Columns = Mapping[tuple[Layer, str], Mapping[str, str]]
COLUMNS: Columns = {
    ("silver", "stg_a"): {"tenant_id": "varchar", "amount": "bigint", "paid_at": "timestamp"},
    ("silver", "stg_b"): {"tenant_id": "varchar", "paid_at": "timestamp", "fee": "bigint"},
}
CASES: list[tuple[str, Origins]] = [
    (
        "with a as (select * from memory.silver.stg_a) "
        "select tenant_id, sum(amount) * 2 as total, count(*) as row_count from a group by all",
        {
            "tenant_id": [("silver", "stg_a", "tenant_id")],
            "total": [("silver", "stg_a", "amount")],
            "row_count": [],
        },
    ),
    (
        # By name: the second part has other columns, in another order, and so has the third.
        "select max(paid_at) as last_at, sum(fee) as fee from ("
        "select tenant_id, amount, paid_at from memory.silver.stg_a "
        "union all by name select fee, paid_at, tenant_id from memory.silver.stg_b "
        "union all by name select paid_at from memory.silver.stg_b)",
        {
            "last_at": [("silver", "stg_a", "paid_at"), ("silver", "stg_b", "paid_at")],
            "fee": [("silver", "stg_b", "fee")],
        },
    ),
    (
        "select stg_a.tenant_id, amount - fee as net from memory.silver.stg_a "
        "left join memory.silver.stg_b using (tenant_id)",
        {
            "tenant_id": [("silver", "stg_a", "tenant_id")],
            "net": [("silver", "stg_a", "amount"), ("silver", "stg_b", "fee")],
        },
    ),
]


@pytest.mark.parametrize(("sql", "origins"), CASES)
def test_a_column_leads_to_the_columns_it_is_made_of(sql: str, origins: Origins) -> None:
    assert origins_of(sql, COLUMNS) == origins


def test_dagster_gets_the_asset_and_column_of_each_origin() -> None:
    told = lineage_metadata({"total": [("silver", "stg_a", "amount"), ("bronze", "b", "n")]})
    deps = told[METADATA].deps_by_column["total"]
    origins = {(*dep.asset_key.path, dep.column_name) for dep in deps}
    assert origins == {("silver", "stg_a", "amount"), ("bronze", "b", "n")}
    assert told[READABLE].value.splitlines()[2:] == ["| total | silver.stg_a.amount, bronze.b.n |"]
