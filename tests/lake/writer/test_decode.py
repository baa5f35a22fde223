"""What becomes of a message: a row with these values, or a dead letter with this reason."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contracts.model import Field
from ingest.contracts.reasons import REASONS
from lake.schema import (
    bronze_schema,
    dead_letter_schema,
    decoded_dead_letter_schema,
    decoded_schema,
)
from lake.writer.decode import Decoder
from tests.lake.writer.decoding import (
    GOOD,
    PROBE,
    any_payload,
    by_offset,
    contract_of,
    decode_all,
    messages_of,
    payload,
    raw_payload,
)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(PROBE, known_tenants=None)


def only(decoder: Decoder, value: bytes | None) -> dict[str, Any]:
    (ended,) = decode_all(decoder, [value])
    return ended


def rescued(row: dict[str, Any]) -> Any:
    return None if row["_rescued"] is None else json.loads(row["_rescued"])


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "tombstone", "no value"),
        (b"\xff\xfe", "not_utf8", "byte 0"),
        (payload()[:-2] + b"\xed\xa0\x80" + b'"}', "not_utf8", "byte"),
        (b"", "not_json", "character 0"),
        (b"   ", "not_json", "Expecting value"),
        (payload()[:-1], "not_json", "character"),
        (payload() + payload(), "not_json", "Extra data"),
        (payload()[:-1] + b",}", "not_json", "character"),
        (b"\xef\xbb\xbf" + payload(), "not_json", "character 0"),
        (payload() + b"\x00", "not_json", "Extra data"),
        (raw_payload(clicks="NaN"), "not_json", "NaN is no JSON value"),
        (raw_payload(clicks="-Infinity"), "not_json", "-Infinity is no JSON value"),
        (raw_payload(properties="[Infinity]"), "not_json", "Infinity"),
        (raw_payload(note=r'"\ud800"'), "not_json", "surrogate"),
        (raw_payload(unknown=r'{"\udc00":1}'), "not_json", "surrogate"),
        (raw_payload(note='"a\tb"'), "not_json", "control character"),
        (b"[]", "not_an_object", "a list"),
        (b'"text"', "not_an_object", "a string"),
        (b"12", "not_an_object", "a number"),
        (b"true", "not_an_object", "true"),
        (b"null", "not_an_object", "null"),
        (b"{}", "missing_required", "event_id, tenant_id, occurred_at (member timestamp)"),
        (payload(timestamp=...), "missing_required", "occurred_at (member timestamp)"),
        (payload(event_id=None), "missing_required", "event_id"),
        (payload(event_id=7), "invalid_required", "event_id is a number, not a string"),
        (payload(timestamp="soon"), "invalid_required", "occurred_at (member timestamp) is a str"),
        (payload(timestamp=1751284800), "invalid_required", "is a number, not a string like 2025"),
    ],
)
def test_a_message_that_cannot_be_a_row_is_a_dead_letter_with_its_reason(
    decoder: Decoder, value: bytes | None, reason: str, detail: str
) -> None:
    ended = only(decoder, value)
    assert ended["reason"] == reason
    assert detail in ended["detail"]
    assert ended["payload"] == value


def test_every_reason_can_happen() -> None:
    decoder = Decoder(PROBE, frozenset({"acme"}))
    values = [None, b"\xff", b"{", b"[]", b"{}", payload(event_id=1), payload(tenant_id="other")]
    assert tuple(dead["reason"] for dead in decode_all(decoder, values)) == REASONS


def test_a_missing_field_is_named_before_an_invalid_one(decoder: Decoder) -> None:
    ended = only(decoder, payload(event_id=..., timestamp="soon"))
    assert (ended["reason"], ended["detail"]) == ("missing_required", "event_id")


def test_a_dead_letter_names_its_tenant_when_that_can_be_read(decoder: Decoder) -> None:
    assert only(decoder, payload(event_id=None))["tenant_id"] == "acme"
    assert only(decoder, payload(event_id=None, tenant_id=5))["tenant_id"] is None
    assert only(decoder, b"[]")["tenant_id"] is None


@pytest.mark.parametrize("tenant", ["globex", "", "Acme", 5])
def test_only_known_tenants_make_rows(tenant: object) -> None:
    decoder = Decoder(PROBE, frozenset({"acme", "5"}))
    ended = decode_all(decoder, [payload(), payload(tenant_id=tenant), payload(tenant_id="5")])
    assert [row.get("reason") for row in (ended[0], ended[2])] == [None, None]
    assert ended[1]["reason"] in {"unknown_tenant", "invalid_required"}
    assert ended[1]["tenant_id"] == (tenant if isinstance(tenant, str) else None)


def test_no_tenant_is_known_when_the_list_is_empty() -> None:
    assert only(Decoder(PROBE, frozenset()), payload())["reason"] == "unknown_tenant"


def test_a_tenant_that_need_not_be_there_must_still_be_known() -> None:
    contract = contract_of([Field("event_id", "event_id", "string", True), PROBE.fields[3],
                            Field("tenant_id", "tenant_id", "string")])  # fmt: skip
    decoder = Decoder(contract, frozenset({"acme"}))
    values = [
        b'{"event_id":"1"}',
        b'{"event_id":"1","tenant_id":7}',
        b'{"event_id":"1","tenant_id":"acme"}',
    ]
    assert [row.get("reason") for row in decode_all(decoder, values)] == [
        "unknown_tenant",
        "unknown_tenant",
        None,
    ]


FITS: list[tuple[str, str, Any]] = [
    ("note", r'"\u0000\u00e9\ud83d\ude00\n\/"', "\x00é😀\n/"),
    ("note", '""', ""),
    ("note", '"12"', "12"),
    ("note", '"null"', "null"),
    ("client.ip", '"203.0.113.5"', "203.0.113.5"),
    ("Note", '"upper"', "upper"),
    ("clicks", "9223372036854775807", 2**63 - 1),
    ("clicks", "-9223372036854775808", -(2**63)),
    ("clicks", "-0", 0),
    ("clicks", "12.0", 12),
    ("clicks", "1.2e1", 12),
    ("clicks", "0e999999999999999", 0),
    ('load "time"', "0.30000000000000004", 0.30000000000000004),
    ('load "time"', "3", 3.0),
    ('load "time"', "1.7976931348623157e308", 1.7976931348623157e308),
    ('load "time"', "5e-324", 5e-324),
    ("amount", "0.1", Decimal("0.10")),
    ("amount", "12.50", Decimal("12.50")),
    ("amount", '"12.500"', Decimal("12.50")),
    ("amount", "1e3", Decimal("1000.00")),
    ("amount", "-9999999999999999.99", Decimal("-9999999999999999.99")),
    ("share", "0.0001", Decimal("0.0001")),
    ("whole", "9" * 38, Decimal("9" * 38)),
    ("whole", "1e37", Decimal(10**37)),
    ("consent", "true", True),
    ("consent", "false", False),
    ("sentAt", '"2025-06-30T12:00:00Z"', dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30 12:00:00"', dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30t12:00:00z"', dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30T12:00:00+05:30"', dt.datetime(2025, 6, 30, 6, 30, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30T12:00:00-0330"', dt.datetime(2025, 6, 30, 15, 30, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30T23:30:00-02"', dt.datetime(2025, 7, 1, 1, 30, tzinfo=dt.UTC)),
    ("sentAt", '"2025-06-30T12:00:00.120000000Z"', dt.datetime(2025, 6, 30, 12, 0, 0, 120000, dt.UTC)),  # noqa: E501
    ("sentAt", '"0001-01-01T00:00:00Z"', dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    ("sentAt", '"9999-12-31T23:59:59.999999Z"', dt.datetime.max.replace(tzinfo=dt.UTC)),
    ("born on's", '"2024-02-29"', dt.date(2024, 2, 29)),
    ("handles", '{"x":"@acme","t":null,"":"\\u00e9"}', [("x", "@acme"), ("t", None), ("", "é")]),
    ("handles", "{}", []),
    ("handles", '{"x":"1","x":"2"}', [("x", "2")]),
    ("properties", ' { "b" : [ 1 , 2.50 , null ] } ', '{"b":[1,2.5,null]}'),
    ("properties", '"text"', '"text"'),
    ("properties", "12345678901234567890123", "12345678901234567890123"),
    ("properties", "0.1000000000000000055", "0.1000000000000000055"),
    ("properties", "[1e400,1e-400,-0]", "[1e400,1e-400,0]"),
    ("properties", '{"a":1,"a":2}', '{"a":1,"a":2}'),
]  # fmt: skip


@pytest.mark.parametrize(("member", "text", "value"), FITS)
def test_what_fits_is_kept_exactly(decoder: Decoder, member: str, text: str, value: Any) -> None:
    column = next(field.name for field in PROBE.fields if field.payload_name == member)
    row = only(decoder, raw_payload(**{member: text}))
    assert row.get("reason") is None, row
    assert row[column] == value
    assert row["_rescued"] is None


RESCUED = [
    ("note", "12"),
    ("note", "true"),
    ("note", '{"a":1}'),
    ("clicks", '"12"'),
    ("clicks", "1.5"),
    ("clicks", "true"),
    ("clicks", "9223372036854775808"),
    ("clicks", "1e22"),
    ('load "time"', '"1.5"'),
    ('load "time"', "1e400"),
    ("amount", "0.001"),
    ("amount", "12.340000000000000001"),
    ("amount", "10000000000000000"),
    ("amount", '"12,50"'),
    ("amount", '" 12"'),
    ("amount", '"NaN"'),
    ("amount", "1e400"),
    ("amount", "1e-999999999999999999"),
    ("share", "1"),
    ("consent", "1"),
    ("consent", '"true"'),
    ("sentAt", "1751284800000"),
    ("sentAt", '"2025-06-30"'),
    ("sentAt", '"2025-06-30T12:00Z"'),
    ("sentAt", '"2025-02-30T00:00:00Z"'),
    ("sentAt", '"2025-06-30T24:00:00Z"'),
    ("sentAt", '"2025-06-30T23:59:60Z"'),
    ("sentAt", '"0001-01-01T00:00:00+00:01"'),
    ("sentAt", '"9999-12-31T23:59:59-00:01"'),
    ("sentAt", '"0000-01-01T00:00:00Z"'),
    ("sentAt", '"epoch"'),
    ("sentAt", '"infinity"'),
    ("sentAt", '"2025-06-30T12:00:00.1234567890Z"'),
    ("born on's", '"2025-1-1"'),
    ("born on's", '"2025-02-30"'),
    ("born on's", "20250101"),
    ("handles", '{"a":1}'),
    ("handles", '{"a":{"b":"c"}}'),
    ("handles", '["a"]'),
    ("unknown", "null"),
    ("unknown", '{"a":[1,{"b":"ü"}]}'),
    ("", "1"),
    ("with.dot", '"x"'),
    ('with"quote', '"x"'),
    ("with\x00nul", '"x"'),
    ("note\x1fclicks", "1"),
    ("NOTE", '"case matters"'),
]


@pytest.mark.parametrize(("member", "text"), RESCUED)
def test_what_does_not_fit_is_rescued_and_never_costs_the_row(
    decoder: Decoder, member: str, text: str
) -> None:
    row = only(decoder, raw_payload(**{member: text}))
    assert row["event_id"] == "e1"
    name = json.dumps(member, ensure_ascii=False).replace("\\u001f", "\\u001F")
    assert row["_rescued"] == f"{{{name}:{text}}}"
    column = next((f.name for f in PROBE.fields if f.payload_name == member), None)
    assert column is None or row[column] is None


def test_digits_below_the_microsecond_are_cut_off_and_rescued(decoder: Decoder) -> None:
    row = only(decoder, payload(timestamp="1969-12-31T23:59:59.1234569Z"))
    assert row["occurred_at"] == dt.datetime(1969, 12, 31, 23, 59, 59, 123456, dt.UTC)
    assert rescued(row) == {"timestamp": "1969-12-31T23:59:59.1234569Z"}


def test_the_last_of_repeated_members_counts(decoder: Decoder) -> None:
    again = payload(note="first")[:-1]
    assert only(decoder, again + b',"note":"last"}')["note"] == "last"
    assert only(decoder, again + b',"note":null}')["note"] is None
    assert only(decoder, again + b',"event_id":null}')["reason"] == "missing_required"
    assert rescued(only(decoder, again + b',"note":5,"new":1,"new":2}')) == {"note": 5, "new": 2}


def test_values_outside_the_allowed_ones_are_left_to_silver() -> None:
    fields = [*PROBE.fields[:3], Field("colour", "colour", "string", allowed=("red",))]
    row = only(Decoder(contract_of(fields), None), payload(colour="blue"))
    assert (row["colour"], row["_rescued"]) == ("blue", None)


def test_rescued_members_are_counted(decoder: Decoder) -> None:
    values = [payload(), payload(a=1, b=2), payload(clicks="x"), payload(clicks=1.5, note="ok")]
    assert decoder.decode(messages_of([*values, b"{", None])).rescued_fields == 4


def test_rows_and_dead_letters_say_where_they_came_from(decoder: Decoder) -> None:
    values = [payload(), b"{", payload(clicks="x"), None, payload(new=1), payload()]
    decoded = decoder.decode(messages_of(values))
    assert decoded.rows.schema == decoded_schema(PROBE)
    assert decoded.dead.schema == decoded_dead_letter_schema()
    for offset, ended in by_offset(decoded).items():
        assert ended["_topic"] == "probe-events"
        assert ended["_topic_id"] == "topic-id"
        assert ended["_partition"] == offset % 3
        assert ended["_appended_at"] == dt.datetime.fromtimestamp(offset / 10**6, dt.UTC)
        assert ended["_contract_version"] == "2.1.0"
    assert sorted(decoded.dead["_offset"].to_pylist()) == [1, 3]


def test_a_dead_letter_keeps_the_whole_message(decoder: Decoder) -> None:
    dead = decoder.decode(messages_of([payload(), payload(), b"\xff\x00"])).dead.to_pylist()
    assert len(dead) == 1
    assert dead[0]["contract"] == "probe"
    assert dead[0]["payload"] == b"\xff\x00"
    assert dead[0]["key"] == b"key\xff"
    assert json.loads(dead[0]["headers"]) == [["trace", "aDI="], ["empty", None]]
    assert dead[0]["attempts"] == 1


def test_a_message_without_headers_has_none_in_its_dead_letter(decoder: Decoder) -> None:
    messages = replace(messages_of([payload(), b"{"]), headers=None)
    assert decoder.decode(messages).dead["headers"].to_pylist() == [None]
    messages = replace(messages, headers=[[("trace", b"1")], None])
    assert decoder.decode(messages).dead["headers"].to_pylist() == [None]


def test_the_tables_columns_are_the_decoded_ones_and_the_commits(decoder: Decoder) -> None:
    for whole, decoded in [
        (bronze_schema(PROBE), decoded_schema(PROBE)),
        (dead_letter_schema(), decoded_dead_letter_schema()),
    ]:
        assert set(whole.names) - set(decoded.names) == {"_committed_at", "_ingest_date"}
        assert [name for name in whole.names if name in decoded.names] == decoded.names


@pytest.mark.parametrize("large", [False, True])
def test_a_slice_of_a_batch_is_a_batch(decoder: Decoder, large: bool) -> None:
    messages = messages_of([b"{", payload(note="a"), None, payload(note="b", new=1)] * 3, large)
    for name in ("partition", "offset", "appended_at", "key", "value"):
        object.__setattr__(messages, name, getattr(messages, name).slice(3, 4))
    ended = by_offset(decoder.decode(messages))
    assert list(ended) == [3, 4, 5, 6]
    assert [row.get("note") for row in ended.values()] == ["b", None, "a", None]


def test_an_empty_batch_is_nothing(decoder: Decoder) -> None:
    decoded = decoder.decode(messages_of([]))
    assert (decoded.rows.num_rows, decoded.dead.num_rows, decoded.rescued_fields) == (0, 0, 0)


def test_a_batch_without_a_good_message_is_all_dead_letters(decoder: Decoder) -> None:
    decoded = decoder.decode(messages_of([None, b"{", b"\xff"]))
    assert (decoded.rows.num_rows, decoded.dead.num_rows) == (0, 3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_payload, max_size=15), st.booleans())
def test_whatever_the_bytes_each_message_ends_in_exactly_one_place(
    decoder: Decoder, values: list[bytes | None], large: bool
) -> None:
    decoded = decoder.decode(messages_of(values, large))
    assert list(by_offset(decoded)) == list(range(len(values)))
    for text in decoded.rows["_rescued"].drop_null().to_pylist():
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    "hell",
    [
        b"[" * 10_000,
        raw_payload(deep="[" * 10_000 + "]" * 10_000),
        raw_payload(properties='{"a":' * 10_000 + "1" + "}" * 10_000),
    ],
    ids=["unclosed", "unknown member", "json member"],
)
def test_deep_nesting_is_a_dead_letter(decoder: Decoder, hell: bytes) -> None:
    ended = decode_all(decoder, [payload(), hell, payload()])
    assert [row.get("reason") for row in ended] == [None, "not_json", None]
    assert ended[1]["detail"] == "nests deeper than 128 levels"


def test_brackets_inside_strings_are_no_nesting(decoder: Decoder) -> None:
    text = '[{\\"' * 1000
    assert rescued(only(decoder, raw_payload(new=f'"{text}"'))) == {"new": '[{"' * 1000}


@pytest.mark.parametrize("member", ["note", "properties", "unknown"])
def test_ten_megabytes_of_text_are_kept(decoder: Decoder, member: str) -> None:
    big = json.dumps("é" * 5_000_000, ensure_ascii=False)
    ended = decode_all(decoder, [payload(), raw_payload(**{member: big}), payload()])
    assert [row.get("reason") for row in ended] == [None, None, None]
    kept = {"note": ended[1]["note"], "properties": ended[1]["properties"]}
    kept["unknown"] = (rescued(ended[1]) or {}).get("unknown")
    assert kept[member] == (big if member == "properties" else json.loads(big))


@pytest.mark.parametrize("member", ["clicks", "amount", 'load "time"', "properties", "unknown"])
def test_a_number_of_a_million_digits_is_kept(decoder: Decoder, member: str) -> None:
    digits = "7" * 1_000_000
    row = only(decoder, raw_payload(**{member: digits}))
    kept = row["properties"] if member == "properties" else row["_rescued"]
    assert kept.endswith(digits + ("" if member == "properties" else "}"))


def test_a_contract_of_300_fields_decodes() -> None:
    kinds = [field.kind for field in PROBE.fields[3:]]
    fields = [Field(f"f{n}", f"member {n}.'\"", kinds[n % len(kinds)]) for n in range(297)]
    texts = {"string": "x", "map": {"a": "b"}, "json": [1], "boolean": True, "date": "2025-01-01"}
    values = {f.payload_name: texts.get(f.kind) for f in fields}
    decoder = Decoder(contract_of([*PROBE.fields[:3], *fields]), None)
    rows = decode_all(decoder, [payload(), payload(**values), payload(**values, new=1)])
    assert [row["f0"] for row in rows] == [None, "x", "x"]
    assert [rescued(row) for row in rows] == [None, None, {"new": 1}]
    assert all(rows[1][f.name] is not None for f in fields if f.kind in texts)


def test_thousands_of_different_unknown_members_are_rescued(decoder: Decoder) -> None:
    values = [payload(**{f"new {n}": n, f"newer {n}": None}) for n in range(3000)]
    rows = decode_all(decoder, values)
    assert [rescued(row) for row in rows] == [
        {f"new {n}": n, f"newer {n}": None} for n in range(3000)
    ]


def test_when_duckdb_fails_the_batch_is_decoded_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decoder = Decoder(PROBE, None)

    def fail(*_: object) -> pa.Table:
        raise duckdb.OutOfMemoryException("secret payload")

    monkeypatch.setattr("lake.writer.duckdb_batch.DuckdbBatch.run", fail)
    with caplog.at_level(logging.WARNING):
        ended = decode_all(decoder, [payload(note="a"), b"{", payload(new=1)])
    assert [row.get("reason") for row in ended] == [None, "not_json", None]
    assert (ended[0]["note"], rescued(ended[2])) == ("a", {"new": 1})
    assert "DuckDB could not" in caplog.text
    assert "secret" not in caplog.text


def test_good_messages_never_become_python_objects(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a good message took the exact way")

    monkeypatch.setattr("ingest.contracts.exact.ExactDecoder.decode", never)
    rows = decode_all(decoder, [payload(note=str(n), clicks=n, sentAt=None) for n in range(100)])
    assert [row["clicks"] for row in rows] == list(range(100))
    assert GOOD["event_id"] == rows[0]["event_id"]
