"""What a contract's JSON Schema lets a producer send becomes a whole row, with nothing rescued."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.loader import load_contract
from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from ingest.contracts.sample import sample_payload
from lake.writer.decode import Decoded, Decoder, Messages


def guide_contract() -> Contract:
    guide = (Path(__file__).parents[2] / "docs/guides/add-a-contract.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    return load_contract(Path("payments.odcs.yaml"), found[1])


PAYMENTS = guide_contract()
SCHEMA = jsonschema.Draft202012Validator(
    payload_json_schema(PAYMENTS), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
DECODER = Decoder(PAYMENTS, known_tenants=None)
NEAR_MISSES = st.sampled_from(
    [
        "2026-03-01T09:30:00Z", "2026-03-01 09:30:00.5+0900", "2026-03-01T09:30", "2026-03-01",
        "20260301", "2026-02-30", "2026-13-01T09:30:00Z", "12.50", "12.", "-0", "007",
        "1e3", "paid", "", "true", "9" * 16, "9" * 17,
        2**63, -(2**63), 2**63 - 1, 10**16, 1.0, 1.5, -0.0, 1e300, True, None, [], {}, {"a": "b"},
        {"a": None}, {"a": 1}, ["a"],
    ]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def decode(decoder: Decoder, payloads: Iterable[dict[str, Any]]) -> Decoded:
    values = [json.dumps(payload).encode() for payload in payloads]
    count = len(values)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return decoder.decode(
        Messages(
            topic=decoder.contract.topic,
            topic_id="id",
            partition=pa.array([0] * count, pa.int32()),
            offset=pa.array(range(count), pa.int64()),
            appended_at=pa.array([now] * count, pa.timestamp("us", tz="UTC")),
            key=pa.nulls(count, pa.binary()),
            value=pa.array(values, pa.binary()),
        )
    )


@pytest.mark.parametrize("contract", [*load_contracts(None), PAYMENTS], ids=lambda c: c.name)
def test_the_message_of_the_reference_page_fills_every_column(contract: Contract) -> None:
    decoded = decode(Decoder(contract, known_tenants=None), [sample_payload(contract)])
    assert (decoded.rows.num_rows, decoded.dead.num_rows) == (1, 0)
    (row,) = decoded.rows.to_pylist(maps_as_pydicts="strict")
    assert row["_rescued"] is None
    assert [field.name for field in contract.fields if row[field.name] is None] == []


@settings(deadline=None)
@given(st.sampled_from(PAYMENTS.fields), NEAR_MISSES | ANY_JSON)
def test_what_the_schema_takes_becomes_a_row_with_nothing_rescued(field: Any, value: Any) -> None:
    """All but a number with too many decimals, which JSON Schema cannot tell from one that fits."""
    payload = {**sample_payload(PAYMENTS), field.payload_name: value}
    if not SCHEMA.is_valid(payload):
        return
    if field.kind == "decimal" and isinstance(value, float):
        value = Decimal(str(value))
        if value != round(value, field.scale):
            return
    decoded = decode(DECODER, [payload])
    assert decoded.dead.num_rows == 0, decoded.dead.column("detail").to_pylist()
    assert decoded.rows.column("_rescued").to_pylist() == [None]


@settings(deadline=None)
@given(st.sampled_from([f for f in PAYMENTS.fields if not f.allowed]), NEAR_MISSES | ANY_JSON)
def test_what_the_schema_refuses_is_rescued_or_a_dead_letter(field: Any, value: Any) -> None:
    """All but text that a careful reader understands: the schema asks producers for less."""
    payload = {**sample_payload(PAYMENTS), field.payload_name: value}
    lenient = field.kind == "decimal" and isinstance(value, str)
    if SCHEMA.is_valid(payload) or lenient:
        return
    decoded = decode(DECODER, [payload])
    rescued = [row for row in decoded.rows.column("_rescued").to_pylist() if row is not None]
    assert len(rescued) + decoded.dead.num_rows == 1
