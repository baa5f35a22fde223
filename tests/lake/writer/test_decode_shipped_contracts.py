"""Wrong types in each field of each shipped contract; and any bytes at all for each."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.contracts.model import Contract, Field, FieldKind
from ingest.contracts.registry import load_contracts
from ingest.contracts.sample import sample_payload
from lake.writer.decode import Decoder
from tests.fuzz.judge import Judge
from tests.lake.writer.decoding import any_payload, decode_all

CONTRACTS = list(load_contracts(None))
DECODERS = {contract.name: Decoder(contract, known_tenants=None) for contract in CONTRACTS}
FIELDS = [
    pytest.param(contract, field, id=f"{contract.name}-{field.name}")
    for contract in CONTRACTS
    for field in contract.fields
]

NO_TEXT = ["12", "-0.5", "1e400", "true", "false", "{}", '{"a":"b"}', "[]", '["a"]']
NO_NUMBER = ['""', '"12"', '"NaN"', "true", "false", "{}", "[]", "[1]", "1e400", "-1e400"]
WRONG: dict[FieldKind, list[str]] = {
    "string": NO_TEXT,
    "integer": [*NO_NUMBER, "1.5", "9223372036854775808", "-9223372036854775809", "1e-1"],
    "number": NO_NUMBER,
    "decimal": [
        *["true", "{}", "[]", '""', '"much"', '" 12"', '"12,50"', '"NaN"', '"0x10"', "1e400"],
        "0." + "0" * 40 + "1",
        "9" * 39,
    ],
    "boolean": ["0", "1", '"true"', '"yes"', '""', "{}", "[]", "[true]"],
    "timestamp": [
        *["1751284800", "1751284800000", "true", "{}", "[]", '""', '"soon"', '"2025-06-30"'],
        *['"2025-02-30T00:00:00Z"', '"2025-06-30T24:00:00Z"', '"2025-06-30T12:00Z"', '"epoch"'],
    ],
    "date": ["20250630", "true", "{}", "[]", '""', '"2025-6-3"', '"2025-02-30"', '"today"'],
    "map": ["12", "true", '""', '"a"', "[]", '["a"]', '{"a":1}', '{"a":{"b":"c"}}', '{"a":["b"]}'],
    "json": [],
}
"""JSON texts that no column of the kind may take, null aside."""


def with_member(contract: Contract, field: Field, text: str) -> bytes:
    """The contract's sample message, with ``text`` as this member's value."""
    members = [
        f"{json.dumps(name)}:{text if name == field.payload_name else json.dumps(value)}"
        for name, value in sample_payload(contract).items()
    ]
    return ("{" + ",".join(members) + "}").encode()


def test_every_kind_of_field_has_wrong_values_to_try() -> None:
    assert {field.kind for contract in CONTRACTS for field in contract.fields} <= WRONG.keys()


@pytest.mark.parametrize(("contract", "field"), FIELDS)
def test_a_wrong_type_in_a_field_is_rescued_or_a_dead_letter_and_touches_no_other(
    contract: Contract, field: Field
) -> None:
    decoder = DECODERS[contract.name]
    texts = WRONG[field.kind]
    whole, *ended = decode_all(
        decoder,
        [
            json.dumps(sample_payload(contract)).encode(),
            *(with_member(contract, field, text) for text in texts),
        ],
    )
    for text, row in zip(texts, ended, strict=True):
        if field.required:
            assert row["reason"] == "invalid_required", text
            assert row["detail"].startswith(field.name), text
            assert row["payload"] == with_member(contract, field, text)
            continue
        assert row.get("reason") is None, (text, row.get("detail"))
        assert row[field.name] is None, text
        kept: dict[str, Any] = json.loads(row["_rescued"], parse_float=Decimal, parse_int=Decimal)
        assert kept == {
            field.payload_name: json.loads(text, parse_float=Decimal, parse_int=Decimal)
        }
        others = [one.name for one in contract.fields if one.name != field.name]
        assert [row[name] for name in others] == [whole[name] for name in others], text


@pytest.mark.parametrize(("contract", "field"), FIELDS)
def test_a_field_that_is_absent_or_null_is_null_or_missed_and_touches_no_other(
    contract: Contract, field: Field
) -> None:
    sample = sample_payload(contract)
    absent = {name: value for name, value in sample.items() if name != field.payload_name}
    null = {**sample, field.payload_name: None}
    whole, *ended = decode_all(
        DECODERS[contract.name], [json.dumps(one).encode() for one in (sample, absent, null)]
    )
    for row in ended:
        if field.required:
            assert row["reason"] == "missing_required"
            assert row["detail"].startswith(field.name)
        else:
            wanted = {one.name: whole[one.name] for one in contract.fields} | {field.name: None}
            assert {name: row[name] for name in wanted} == wanted
            assert row["_rescued"] is None


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_any_bytes_at_all_end_in_one_place_as_promised(contract: Contract) -> None:
    judge = Judge(contract)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(st.binary(max_size=200), any_payload), max_size=12))
    @example([b"\xff" * 100_000, b"", b"\x00", b"{" * 1000, None])
    def hold(payloads: list[bytes | None]) -> None:
        assert len(judge.judge(payloads)) == len(payloads)

    hold()
