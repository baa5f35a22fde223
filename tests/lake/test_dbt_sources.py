"""The bronze tables as dbt sources."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

from ingest.contracts.arrow import payload_schema
from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from lake.dbt_sources import SYSTEM_COLUMNS, duckdb_type, sources_yml
from lake.schema import bronze_schema, dead_letter_schema

CONTRACTS = list(load_contracts(None))


def tables(text: str) -> dict[str, Any]:
    (source,) = yaml.safe_load(text)["sources"]
    assert source["name"] == "bronze"
    return {table["name"]: table for table in source["tables"]}


def test_each_contract_is_a_source_table_beside_the_dead_letters() -> None:
    found = tables(sources_yml(CONTRACTS))
    assert list(found) == [*(contract.name for contract in CONTRACTS), "dead_letters"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_a_source_has_every_column_of_its_table_with_a_description(contract: Contract) -> None:
    columns = tables(sources_yml([contract]))[contract.name]["columns"]
    assert [column["name"] for column in columns] == bronze_schema(contract).names
    assert [column["name"] for column in columns if not column.get("description")] == []


def test_dead_letters_have_every_column_with_a_description() -> None:
    columns = tables(sources_yml([]))["dead_letters"]["columns"]
    assert [column["name"] for column in columns] == dead_letter_schema().names
    assert [column["name"] for column in columns if not column.get("description")] == []


def test_no_column_is_described_that_no_table_has() -> None:
    assert set(SYSTEM_COLUMNS) <= set(bronze_schema(CONTRACTS[0]).names)


def test_lists_of_values_units_and_personal_data_are_in_the_docs() -> None:
    found = tables(sources_yml(CONTRACTS))
    conversions = {column["name"]: column for column in found["conversions"]["columns"]}
    registrations = {column["name"]: column for column in found["registrations"]["columns"]}
    assert "One of ETH, BTC, USDT, USDC." in conversions["payment_method"]["description"]
    assert "In USD." in conversions["amount_usd"]["description"]
    assert registrations["email"]["config"] == {"meta": {"pii": True}}


def test_own_contracts_stand_in_a_file_without_dead_letters() -> None:
    assert list(tables(sources_yml(CONTRACTS[:1], dead_letters=False))) == ["ad_events"]


@pytest.mark.parametrize(
    "schema",
    [dead_letter_schema(), *(payload_schema(c) for c in CONTRACTS), bronze_schema(CONTRACTS[0])],
    ids=["dead letters", *(c.name for c in CONTRACTS), "system columns"],
)
def test_data_types_are_what_duckdb_calls_the_columns(schema: pa.Schema) -> None:
    columns = duckdb.connect().from_arrow(schema.empty_table())
    seen = [str(kind).lower().replace(" ", "") for kind in columns.types]
    assert seen == [duckdb_type(field.type).replace(" ", "") for field in schema]


def test_a_column_has_the_type_of_its_contract() -> None:
    columns = tables(sources_yml(CONTRACTS))["conversions"]["columns"]
    types = {column["name"]: column["data_type"] for column in columns}
    assert types["amount_usd"] == "decimal(18, 2)"
    assert types["occurred_at"] == "timestamp with time zone"
    assert types["_offset"] == "bigint"
