"""What the decoding tests share: a contract of every kind of field, messages, odd payloads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from ingest.contracts.model import Contract, Field
from lake.writer.decode import Decoded, Decoder
from lake.writer.messages import Messages

EVERY_KIND = (
    Field("event_id", "event_id", "string", required=True),
    Field("tenant_id", "tenant_id", "string", required=True),
    Field("occurred_at", "timestamp", "timestamp", required=True),
    Field("note", "note", "string"),
    Field("ip", "client.ip", "string"),
    Field("clicks", "clicks", "integer"),
    Field("load_time", 'load "time"', "number"),
    Field("amount", "amount", "decimal", precision=18, scale=2),
    Field("share", "share", "decimal", precision=4, scale=4),
    Field("whole", "whole", "decimal", precision=38, scale=0),
    Field("consent", "consent", "boolean"),
    Field("sent_at", "sentAt", "timestamp"),
    Field("born_on", "born on's", "date"),
    Field("handles", "handles", "map"),
    Field("properties", "properties", "json"),
    Field("shadow", "Note", "string"),
)


def contract_of(fields: Sequence[Field]) -> Contract:
    return Contract(
        name="probe",
        version="2.1.0",
        topic="probe-events",
        owner="tests",
        description="",
        fields=tuple(fields),
        key=("event_id",),
        event_time="occurred_at",
        message_key=("event_id",),
    )


PROBE = contract_of(EVERY_KIND)
GOOD: dict[str, Any] = {
    "event_id": "e1",
    "tenant_id": "acme",
    "timestamp": "2025-06-30T12:00:00Z",
}


def messages_of(values: Sequence[bytes | None], large: bool = False) -> Messages:
    count = len(values)
    return Messages(
        topic="probe-events",
        topic_id="topic-id",
        partition=pa.array([number % 3 for number in range(count)], pa.int32()),
        offset=pa.array(range(count), pa.int64()),
        appended_at=pa.array(range(count), pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        key=pa.array([None if n % 2 else b"key\xff" for n in range(count)], pa.binary()),
        value=pa.array(values, pa.large_binary() if large else pa.binary()),
        headers=[[("trace", f"h{row}".encode()), ("empty", None)] for row in range(count)],
    )


def decode_all(decoder: Decoder, values: Sequence[bytes | None]) -> list[dict[str, Any]]:
    """Decode, and give back one dict a message in poll order: a row, or a dead letter."""
    decoded = decoder.decode(messages_of(values))
    ended = by_offset(decoded)
    assert list(ended) == list(range(len(values)))
    return list(ended.values())


def by_offset(decoded: Decoded) -> dict[int, dict[str, Any]]:
    ended = decoded.rows.to_pylist() + decoded.dead.to_pylist()
    assert len({row["_offset"] for row in ended}) == len(ended)
    return {row["_offset"]: row for row in sorted(ended, key=lambda row: row["_offset"])}


def payload(**members: Any) -> bytes:
    """A good message with these members changed; ``...`` leaves one out."""
    merged = {**GOOD, **members}
    return json.dumps({k: v for k, v in merged.items() if v is not ...}).encode()


def raw_payload(**members: str) -> bytes:
    """A good message with these members added, each value as JSON text."""
    good = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in GOOD.items()]
    added = [f"{json.dumps(name)}:{text}" for name, text in members.items()]
    return ("{" + ",".join(good + added) + "}").encode("utf-8", "surrogatepass")


spaces = st.sampled_from(["", "", "", "", " ", "\n", "\t\r\n "])
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "", "12", "-0", "1.5", "1e5", "true", "false", "null", "nan", "NaN", "-inf", "Infinity",
            "{", "[1]", '{"a":1}', '"', "\\", "\x00", "\x1f", "a\x1fb", "\x7f", "\u2028", "/", "😀",
            ",}", ", ]", "203.0.113.5", "epoch", "today", "infinity", "\ud800", "a\udc00b",
        ]
    ),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,6})?", fullmatch=True),
)  # fmt: skip
timestamps = st.one_of(
    st.from_regex(
        r"(20[0-9][0-9]|[0-9]{4})-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
        r"(\.[0-9]{1,10}|\.[0-9]{6}000)?([Zz]|[+-][0-2][0-9](:?[0-5][0-9])?)?",
        fullmatch=True,
    ),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+00:01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
            "9999-12-31T23:59:59-00:01", "0000-12-31T23:59:59Z", "2024-02-29T00:00:00Z",
            "2025-02-29T00:00:00Z", "2025-06-30T24:00:00Z", "2025-06-30T23:59:60Z",
            "2025-06-30T12:00Z", "2025-06-30", "2025-6-3T1:2:3Z", " 2025-06-30T12:00:00Z",
            "2025-06-30T12:00:00Z\n", "2025-06-30T12:00:00.123456789Z", "\uff12025-06-30T12:00:00Z",
            "2025-06-30T12:00:00 UTC", "2025-06-30T12:00:00+02:00:30", "12025-06-30T12:00:00Z",
        ]
    ),
)  # fmt: skip
dates = st.one_of(
    st.dates().map(str),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True),
    st.sampled_from(["2025-1-1", "0000-01-01", "2025-02-30", "2025-01-01 ", "epoch", "2025/01/01"]),
)
numbers = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-1000, 1000).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-1000, 1000, places=3, allow_nan=False).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(
        [
            "NaN", "Infinity", "-Infinity", "nan", "1e400", "-1E400", "1e-400", "-0", "-0.0",
            "0.1000000000000000055", "12.340000000000000001", "9223372036854775807",
            "9223372036854775808", "-9223372036854775808", "1.0", "1e2", "1.50",
            "99999999999999999", "01", "1.", ".5", "+1", "1e+00000000000000001", "4.9e-324",
            "2.2250738585072011e-308",
        ]
    ),
)  # fmt: skip


@st.composite
def quoted(draw: st.DrawFn, strings: st.SearchStrategy[str] = texts) -> str:
    """A JSON string, its escapes chosen at random."""
    text = draw(strings)
    if draw(st.integers(0, 3)):
        return json.dumps(text, ensure_ascii=draw(st.booleans()))
    return '"' + "".join(f"\\u{unit:04x}" for unit in _utf16(text)) + '"'


def _utf16(text: str) -> list[int]:
    units = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]


@st.composite
def _joined(draw: st.DrawFn, parts: st.SearchStrategy[list[str]], open_: str, close: str) -> str:
    inside = f"{draw(spaces)},{draw(spaces)}".join(draw(parts))
    trailing = draw(st.sampled_from([""] * 30 + [",", ", "]))
    return f"{open_}{draw(spaces)}{inside}{trailing}{draw(spaces)}{close}"


def lists(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return _joined(st.lists(inside, max_size=4), "[", "]")


def objects(
    inside: st.SearchStrategy[str], names: st.SearchStrategy[str] = texts, most: int = 4
) -> st.SearchStrategy[str]:
    member = st.tuples(quoted(names), spaces, spaces, inside).map(
        lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}{parts[3]}"
    )
    return _joined(st.lists(member, max_size=most), "{", "}")


literals = st.sampled_from(["null", "true", "false"])
scalars = st.one_of(literals, numbers, quoted())
anything = st.recursive(
    scalars, lambda inside: st.one_of(lists(inside), objects(inside)), max_leaves=8
)
handles = objects(st.one_of(quoted(), st.just("null")), names=st.sampled_from("abc"))

FITTING = {
    "string": quoted(),
    "integer": st.one_of(st.integers(-(2**63), 2**63 - 1).map(str), numbers),
    "number": numbers,
    "decimal": st.one_of(numbers, quoted(numbers)),
    "boolean": literals,
    "timestamp": quoted(timestamps),
    "date": quoted(dates),
    "map": handles,
    "json": anything,
}


@st.composite
def json_payloads(draw: st.DrawFn) -> bytes:
    """A message that is nearly always JSON, with members that mostly fit ``PROBE``."""
    members = [(name, json.dumps(value)) for name, value in GOOD.items()]
    if not draw(st.integers(0, 9)):
        members.pop(draw(st.integers(0, 2)))
    for field in draw(st.lists(st.sampled_from(EVERY_KIND[2:]), max_size=6)):
        value = draw(FITTING[field.kind] if draw(st.integers(0, 7)) else anything)
        members.append((field.payload_name, value))
    if not draw(st.integers(0, 5)):
        members.append((draw(texts), draw(anything)))
    if not draw(st.integers(0, 5)):
        members = draw(st.permutations(members))
    if draw(st.integers(0, 3)):
        members = list(dict(members).items())
    return draw(
        _joined(st.just([f"{json.dumps(name)}:{value}" for name, value in members]), "{", "}")
    ).encode("utf-8", "surrogatepass")


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A message with some bytes of it changed, cut or put in."""
    broken = bytearray(draw(json_payloads()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(broken)))
        broken[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=2))
    return bytes(broken)


any_payload: st.SearchStrategy[bytes | None] = st.one_of(
    json_payloads(),
    json_payloads(),
    mangled(),
    st.binary(max_size=40),
    anything.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.none(),
)
