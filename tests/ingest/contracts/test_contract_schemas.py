"""The Arrow schema and the JSON Schema that follow from a contract."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contracts.arrow import payload_schema
from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.model import Contract, Field
from ingest.contracts.registry import load_contracts
from ingest.contracts.sample import sample_payload

SHIPPED = load_contracts(None)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "decimal": st.decimals(-9999, 9999, places=2).map(str),
    "boolean": st.booleans(),
    "timestamp": st.datetimes().map(lambda t: t.isoformat(timespec="microseconds") + "Z"),
    "date": st.dates().map(str),
    "map": st.dictionaries(st.text(), st.none() | st.text()),
    "json": st.recursive(st.none() | st.integers() | st.text(), st.lists),
}


def values(field: Field) -> st.SearchStrategy[Any]:
    fitting = st.sampled_from(field.allowed) if field.allowed else VALUES[field.kind]
    return fitting if field.required else st.none() | fitting


@st.composite
def messages(draw: st.DrawFn) -> tuple[Contract, dict[str, Any]]:
    """A contract and a payload that keeps it, with members left out and members unknown to it."""
    contract = draw(st.sampled_from(list(SHIPPED)))
    kept = [f for f in contract.fields if f.required or draw(st.booleans())]
    payload = {field.payload_name: draw(values(field)) for field in kept}
    return contract, {**draw(st.dictionaries(st.just("unknown"), st.integers())), **payload}


def errors(contract: Contract, payload: object) -> list[str]:
    schema = payload_json_schema(contract)
    return [e.message for e in jsonschema.Draft202012Validator(schema).iter_errors(payload)]


def test_every_type_has_its_column(payments: Contract) -> None:
    assert {f.name: str(f.type) for f in payload_schema(payments)} == {
        "tenant_id": "string",
        "payment_id": "string",
        "customer_id": "string",
        "occurred_at": "timestamp[us, tz=UTC]",
        "status": "string",
        "amount_usd": "decimal128(18, 2)",
        "attempts": "int64",
        "risk": "double",
        "is_recurring": "bool",
        "due_date": "date32[day]",
        "email": "string",
        "labels": "map<string, string>",
        "details": "string",
    }


def test_every_column_is_nullable(payments: Contract) -> None:
    assert all(field.nullable for field in payload_schema(payments))


@pytest.mark.parametrize("contract", SHIPPED, ids=lambda c: c.name)
def test_the_json_schema_is_one(contract: Contract) -> None:
    jsonschema.Draft202012Validator.check_schema(payload_json_schema(contract))


@given(messages())
def test_a_payload_that_keeps_the_contract_is_valid(message: tuple[Contract, Any]) -> None:
    contract, payload = message
    assert errors(contract, json.loads(json.dumps(payload))) == []


@given(messages(), st.data())
def test_a_payload_without_a_required_member_is_not(
    message: tuple[Contract, dict[str, Any]], data: st.DataObject
) -> None:
    contract, payload = message
    missing = data.draw(st.sampled_from([f for f in contract.fields if f.required]))
    del payload[missing.payload_name]
    assert errors(contract, payload) == [f"'{missing.payload_name}' is a required property"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("payment_id", 7),
        ("payment_id", None),
        ("time", 1_700_000_000),
        ("time", "yesterday"),
        ("time", "2026-03-01"),
        ("status", "maybe"),
        ("amount_usd", "12.345"),
        ("amount_usd", "12."),
        ("amount_usd", "007"),
        ("amount_usd", "1e3"),
        ("amount_usd", "12345678901234567.00"),
        ("amount_usd", 10**16),
        ("amount_usd", True),
        ("attempts", 1.5),
        ("attempts", 2**63),
        ("risk", "0.5"),
        ("is_recurring", "true"),
        ("due_date", 20260301),
        ("labels", ["a"]),
        ("labels", {"a": 1}),
    ],
)
def test_a_value_of_another_type_is_not_valid(
    payments: Contract, member: str, value: object
) -> None:
    assert len(errors(payments, {**sample_payload(payments), member: value})) >= 1


@pytest.mark.parametrize(
    "time",
    ["2026-03-01T09:30:00", "2026-03-01T09:30:00Z", "2026-03-01 09:30:00.123456+09:00"],
)
def test_iso_8601_is_a_time_with_and_without_offset(payments: Contract, time: str) -> None:
    assert errors(payments, {**sample_payload(payments), "time": time}) == []


def test_the_schema_speaks_of_members_not_of_columns() -> None:
    schema = payload_json_schema(SHIPPED.by_name("clickstream"))
    assert {"timestamp", "ico_website_id"} <= set(schema["properties"])
    assert "occurred_at" not in schema["properties"]
    assert "timestamp" in schema["required"]


@pytest.mark.parametrize("contract", SHIPPED, ids=lambda c: c.name)
def test_the_sample_has_every_member_and_is_valid(contract: Contract) -> None:
    sample = sample_payload(contract)
    assert set(sample) == {field.payload_name for field in contract.fields}
    assert errors(contract, sample) == []


def test_a_sample_fits_the_columns(payments: Contract) -> None:
    sample = sample_payload(payments)
    assert sample["amount_usd"] == 19.9
    assert sample["status"] == "paid"
    assert isinstance(sample["attempts"], int)
    assert pa.scalar(sample["labels"], payload_schema(payments).field("labels").type).is_valid
