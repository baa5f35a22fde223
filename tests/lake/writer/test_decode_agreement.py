"""The bulk way and the exact way are one decoder: whatever the bytes, they agree."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contracts.exact import ExactDecoder, Row
from ingest.contracts.model import Field
from lake.writer.bulk import BulkDecoder
from tests.lake.writer.decoding import (
    EVERY_KIND,
    FITTING,
    PROBE,
    any_payload,
    anything,
    payload,
    raw_payload,
)

EXAMPLES = int(os.environ.get("LAKEWARD_TEST_EXAMPLES", "60"))
"""Hypothesis examples a test; set it higher to look harder."""

TENANTS = frozenset({"acme"})
EXACT = ExactDecoder(PROBE, TENANTS)


@pytest.fixture(scope="module")
def bulk() -> BulkDecoder:
    return BulkDecoder(PROBE, TENANTS)


def assert_agreement(bulk: BulkDecoder, payloads: list[bytes | None], large: bool = False) -> int:
    """Where the bulk way is sure, the exact way must give the same row; return how often."""
    array = pa.array(payloads, pa.large_binary() if large else pa.binary())
    found = bulk.decode(array)
    rescued = dict(zip(found.rescued.rows.tolist(), found.rescued.texts, strict=True))
    assert all(found.sure[at] for at in rescued)
    rescued_fields = 0
    for at, one in enumerate(payloads):
        if not found.sure[at]:
            continue
        exact = EXACT.decode(one)
        assert isinstance(exact, Row), (one, exact)
        assert rescued.get(at) == exact.rescued, (one, exact)
        rescued_fields += exact.rescued_fields
        for field, column, value in zip(EVERY_KIND, found.columns, exact.values, strict=True):
            assert repr(_plain(field, column[at])) == repr(value), (one, field)
    assert found.rescued.fields == rescued_fields
    return int(found.sure.sum())


def _plain(field: Field, scalar: Any) -> Any:
    return scalar.value if field.kind == "timestamp" else scalar.as_py()


@settings(max_examples=5 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_payload, min_size=1, max_size=12), st.booleans())
def test_what_the_bulk_way_is_sure_of_the_exact_way_decodes_alike(
    bulk: BulkDecoder, payloads: list[bytes | None], large: bool
) -> None:
    assert_agreement(bulk, payloads, large)


@pytest.mark.parametrize("field", EVERY_KIND[3:], ids=lambda field: f"{field.name}-{field.kind}")
def test_both_ways_agree_on_each_kind_of_field(bulk: BulkDecoder, field: Field) -> None:
    sure = 0

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(FITTING[field.kind], FITTING[field.kind], anything), max_size=20))
    def agree(values: list[str]) -> None:
        nonlocal sure
        sure += assert_agreement(bulk, [raw_payload(**{field.payload_name: v}) for v in values])

    agree()
    assert sure, "the bulk way never took a row, so nothing was compared"


@pytest.mark.parametrize(
    "message",
    [
        payload(),
        payload(note=None, clicks=3, sentAt="2025-06-30T12:00:00.123+02:00"),
        payload(note="12", Note="true", share="0.2500", amount=12.5, whole=10**15, consent=False),
        payload(handles={"x": "@acme", "telegram": None}, properties={"a": [1, 2.5, {"b": "ü"}]}),
        payload(properties="text", **{"born on's": "2001-02-03", 'load "time"': 0.1}),
        payload(**{"client.ip": "203.0.113.5"}),
        raw_payload(amount="-0.10", properties=' {"a" : [ ] , "id": 12345678901234567890 } '),
    ],
    ids=[
        "required only",
        "nulls",
        "texts like numbers",
        "nested",
        "odd names",
        "address",
        "spaces",
    ],
)
def test_ordinary_messages_take_the_bulk_way(bulk: BulkDecoder, message: bytes) -> None:
    assert assert_agreement(bulk, [message]) == 1


@pytest.mark.parametrize(
    "message",
    [
        raw_payload(unknown="null"),
        raw_payload(unknown='{"a":[1,2.5,"\\u00e9\\u0001\\/"]}', other=" [ ] "),
        raw_payload(**{'un"kn\x01own': "1.50", "Event_id": "true"}),
        raw_payload(note="12"),
        raw_payload(note="true", Note="[1]"),
        raw_payload(note='{"a":1}', clicks='"12"'),
        raw_payload(consent="1"),
        raw_payload(consent='"true"'),
        raw_payload(sentAt="1751284800000"),
        raw_payload(sentAt='"2025-06-30T12:00:00.123456789Z"'),
        payload(timestamp="2025-06-30T12:00:00.1234567+02:00", note=None),
        raw_payload(handles='"none"', properties="null"),
        raw_payload(clicks="[" * 126 + "]" * 126),
    ],
    ids=repr,
)
def test_plain_rescues_take_the_bulk_way(bulk: BulkDecoder, message: bytes) -> None:
    assert assert_agreement(bulk, [message, payload()]) == 2


@pytest.mark.parametrize(
    "message",
    [
        raw_payload(note="NaN"),
        raw_payload(note="-Infinity"),
        raw_payload(unknown="NaN"),
        raw_payload(unknown="0.1000000000000000055"),
        raw_payload(unknown="1e-400"),
        raw_payload(unknown="[" * 200 + "]" * 200),
        raw_payload(clicks="1.5"),
        raw_payload(clicks="9223372036854775808"),
        raw_payload(amount="0.001"),
        raw_payload(amount="12.340000000000000001"),
        raw_payload(amount="1e400"),
        raw_payload(sentAt='"epoch"'),
        raw_payload(sentAt='"2025-02-30T12:00:00.123456789Z"'),
        raw_payload(**{"born on's": '"2025-1-1"'}),
        raw_payload(handles='{"a":1}'),
        raw_payload(handles='{"a":"1","a":"2"}'),
        raw_payload(properties="[NaN]"),
        raw_payload(properties="[" * 128 + "]" * 128),
        raw_payload(properties="0.1000000000000000055"),
        raw_payload(note='"a"')[:-1] + b',"note":"b"}',
        raw_payload(unknown="1")[:-1] + b',"unknown":2}',
        raw_payload(note='"a"')[:-1] + b",}",
        raw_payload(**{"note\x1fclicks": '"a"'}),
        payload(tenant_id="other"),
        payload(tenant_id=7),
        payload(event_id=None),
        payload(event_id=7),
        b"{}",
        b"[]",
    ],
    ids=lambda message: repr(message)[64:120],
)
def test_the_bulk_way_leaves_what_it_could_get_wrong(bulk: BulkDecoder, message: bytes) -> None:
    assert assert_agreement(bulk, [message, payload()]) == 1
