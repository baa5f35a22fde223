"""What fits comes back from a real Delta table as it was sent, to every reader."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.read import LakeReader
from tests.lake.writer.bench import P0, Bench, BenchSink, batch, raw
from tests.lake.writer.decoding import GOOD, PROBE, raw_payload

UTC = dt.UTC


class Table:
    """The probe's table; every round is one commit, read back by delta-rs and by DuckDB."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench.at(folder)
        self.sink: BenchSink = self.bench.sink(PROBE)
        self.bench.take_over(self.sink, P0)
        self.held: int | None = None

    def write(self, payloads: list[bytes]) -> list[dict[str, Any]]:
        """Commit messages; return their rows, in the order of the messages."""
        first = 0 if self.held is None else self.held + 1
        messages = [raw(P0, first + at, payload) for at, payload in enumerate(payloads)]
        flushed = self.sink.write(batch((P0, self.held, messages)))
        self.held = flushed.landed[P0]
        where = f"_offset >= {first}"
        with LakeReader(self.bench.lake) as reader:
            told = reader.table(f"select * from bronze.probe where {where} order by _offset")
        table = DeltaTable(self.bench.lake.uri("bronze", "probe"))
        read = table.to_pyarrow_table(filters=[("_offset", ">=", first)]).sort_by("_offset")
        rows: list[dict[str, Any]] = read.to_pylist(maps_as_pydicts="strict")
        by_duckdb = told.to_pylist(maps_as_pydicts="strict")
        assert [row["_offset"] for row in rows] == list(range(first, first + len(payloads)))
        for row, other in zip(rows, by_duckdb, strict=True):
            assert {name: other[name] for name in row} == row
        return rows


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return Table(tmp_path_factory.mktemp("probe"))


def column_of(member: str) -> str:
    return next(field.name for field in PROBE.fields if field.payload_name == member)


def round_trip(table: Table, member: str, texts: list[str]) -> list[Any]:
    """Send each JSON text as this member; return the column, nothing being rescued."""
    rows = table.write([raw_payload(**{member: text}) for text in texts])
    assert [row["_rescued"] for row in rows] == [None] * len(texts)
    return [row[column_of(member)] for row in rows]


DECIMALS = [
    "0.01", "-0.01", "12.5", "12.50", '"12.50"', "1e3", "0", "-0", "9999999999999999.99",
    "-9999999999999999.99", '"0.10"', "0.1", "0.3", "1234567890123456.78",
]  # fmt: skip


def test_decimals_come_back_to_the_digit(table: Table) -> None:
    found = round_trip(table, "amount", DECIMALS)
    assert found == [Decimal(text.strip('"')) for text in DECIMALS]
    assert all(value.as_tuple().exponent == -2 for value in found)
    whole = ["9" * 38, "-" + "9" * 38, "1" + "0" * 37, "12345678901234567890123456789012345678"]
    assert round_trip(table, "whole", whole) == [Decimal(text) for text in whole]
    assert round_trip(table, "share", ["0.0001", "-0.9999"]) == [
        Decimal("0.0001"),
        Decimal("-0.9999"),
    ]


MOMENTS = {
    "2025-06-30T12:00:00.123456+05:30": dt.datetime(2025, 6, 30, 6, 30, 0, 123456, UTC),
    "2025-06-30T12:00:00-03:30": dt.datetime(2025, 6, 30, 15, 30, tzinfo=UTC),
    "2025-12-31T23:59:59.999999-14:00": dt.datetime(2026, 1, 1, 13, 59, 59, 999999, UTC),
    "1969-12-31T23:59:59.999999Z": dt.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    "1883-11-18T12:03:58Z": dt.datetime(1883, 11, 18, 12, 3, 58, tzinfo=UTC),
    "0001-01-01T00:00:00Z": dt.datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31T23:59:59.999999Z": dt.datetime.max.replace(tzinfo=UTC),
    "2024-02-29 00:00:00": dt.datetime(2024, 2, 29, tzinfo=UTC),
    "2025-06-30T12:00:00.500000000Z": dt.datetime(2025, 6, 30, 12, 0, 0, 500000, UTC),
}


def test_timestamps_with_offsets_come_back_as_the_same_moment(table: Table) -> None:
    found = round_trip(table, "sentAt", [json.dumps(text) for text in MOMENTS])
    assert found == list(MOMENTS.values())


def test_nine_digits_of_a_second_come_back_whole_from_column_and_rescue(table: Table) -> None:
    sent = "2025-06-30T23:30:00.123456789-02:00"
    (row,) = table.write([raw_payload(sentAt=json.dumps(sent))])
    assert row["sent_at"] == dt.datetime(2025, 7, 1, 1, 30, 0, 123456, UTC)
    assert json.loads(row["_rescued"]) == {"sentAt": sent}


UNICODE = [
    "", "\x00", "a\x00b", "é", "e\u0301", "漢字", "😀", "👩\u200d👩\u200d👧", "\u202eleft",
    "\ufeffmark", "\U0010ffff", "\uffff", "\x7f\x80", "\u2028\u2029", "'; drop table--",
    '"\\/\b\f\n\r\t', "ß" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("is_escaped", [True, False])
def test_any_character_comes_back(table: Table, is_escaped: bool) -> None:
    texts = [json.dumps(text, ensure_ascii=is_escaped) for text in UNICODE]
    assert round_trip(table, "note", texts) == UNICODE
    maps = [json.dumps({text: text}, ensure_ascii=is_escaped) for text in UNICODE]
    assert round_trip(table, "handles", maps) == [{text: text} for text in UNICODE]
    assert [json.loads(text) for text in round_trip(table, "properties", maps)] == [
        {text: text} for text in UNICODE
    ]


def test_what_is_rescued_comes_back_as_it_was(table: Table) -> None:
    sent = {"clicks": "12", "new \x00": "\U0010ffff", "nested": {"a": [1, None, "é"]}}
    (row,) = table.write([json.dumps({**GOOD, **sent}).encode()])
    assert json.loads(row["_rescued"]) == sent


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "note": st.text(max_size=20),
                "clicks": st.integers(-(2**63), 2**63 - 1),
                'load "time"': st.floats(allow_nan=False, allow_infinity=False),
                "consent": st.booleans(),
                "born on's": st.dates().map(str),
                "handles": st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5)),
                "sentAt": st.datetimes(
                    timezones=st.builds(
                        dt.timezone, st.integers(-1439, 1439).map(lambda m: dt.timedelta(minutes=m))
                    ),
                    min_value=dt.datetime(2, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
                    max_value=dt.datetime(9998, 1, 1),  # noqa: DTZ001
                ).map(dt.datetime.isoformat),
            },
        ),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.decimals(-(10**16) + 1, 10**16 - 1, places=2), min_size=20, max_size=20),
)
def test_whatever_fits_comes_back(
    table: Table, sent: list[dict[str, Any]], amounts: list[Decimal]
) -> None:
    payloads = [
        json.dumps({**GOOD, **one})[:-1].encode() + f',"amount":{amount}}}'.encode()
        for one, amount in zip(sent, amounts, strict=False)
    ]
    for one, amount, row in zip(sent, amounts, table.write(payloads), strict=False):
        assert row["_rescued"] is None
        assert row["amount"] == amount
        for field in PROBE.fields[3:]:
            if field.payload_name == "amount":
                continue
            value, found = one.get(field.payload_name), row[field.name]
            if value is None:
                assert found is None
            elif field.kind == "timestamp":
                assert found == dt.datetime.fromisoformat(value)
            elif field.kind == "date":
                assert str(found) == value
            elif field.kind == "number":
                assert found == value
                assert value == 0 or math.copysign(1, found) == math.copysign(1, value)
            else:
                assert found == value
