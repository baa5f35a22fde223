"""A merged file's statistics never hide a row."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lake.duck import connect, delta_scan
from lake.maintenance.compaction import compact
from lake.maintenance.statistics import merged_statistics
from lake.tables import Lake


def file(**more: object) -> dict[str, object]:
    return {"num_records": 2, "null_count.a": 0, "min.a": 1, "max.a": 5, **more}


def merged(*files: dict[str, object]) -> dict[str, dict[str, object]]:
    return json.loads(merged_statistics(files, 2 * len(files)))


def test_bounds_are_the_widest() -> None:
    found = merged(file(), file(**{"min.a": -3}), file(**{"max.a": 2**62, "null_count.a": 1}))
    assert found == {
        "numRecords": 6,
        "minValues": {"a": -3},
        "maxValues": {"a": 2**62},
        "nullCount": {"a": 1},
    }


def test_a_bound_that_one_file_lacks_is_left_out() -> None:
    found = merged(file(), file(**{"max.a": None}))
    assert (found["minValues"], found["maxValues"]) == ({"a": 1}, {})


def test_a_file_with_nothing_but_nulls_takes_no_bound_away() -> None:
    found = merged(file(), file(**{"min.a": None, "max.a": None, "null_count.a": 2}))
    assert (found["minValues"], found["maxValues"], found["nullCount"]) == (
        {"a": 1},
        {"a": 5},
        {"a": 2},
    )


def test_a_column_that_came_later_has_no_bounds_and_no_null_count() -> None:
    found = merged(
        file(**{"null_count.b": None, "min.b": None}), file(**{"null_count.b": 0, "min.b": 7})
    )
    assert "b" not in found["minValues"]
    assert "b" not in found["nullCount"]


def test_decimals_that_a_double_would_round_have_no_bound() -> None:
    found = merged(file(**{"min.a": Decimal("0.50"), "max.a": Decimal("123456789012.123456")}))
    assert (found["minValues"], found["maxValues"]) == ({"a": 0.5}, {})


def test_values_of_every_type_are_found_after_compaction(tmp_path: Path) -> None:
    uri = str(tmp_path / "silver" / "t")
    tenants = ["o'neil & söhne/50%", None, "a=b c"]
    for number in range(10):
        rows = [
            {
                "tenant": tenant,
                "number": number,
                "amount": Decimal(number) / 4,
                "happened_at": datetime(2026, 1, 1, 0, 0, number, 123456, tzinfo=UTC),
                "day": date(2026, 1, 1 + number),
                "ratio": float("nan") if number == 3 else number / 8,
                "text": "x" * 100 + str(number),
                "flag": number % 2 == 0,
                "map": [("k", "v")],
                "bytes": b"\xff\x00",
            }
            for tenant in tenants
        ]
        schema = pa.schema(
            [
                ("tenant", pa.string()),
                ("number", pa.int64()),
                ("amount", pa.decimal128(18, 6)),
                ("happened_at", pa.timestamp("us", "UTC")),
                ("day", pa.date32()),
                ("ratio", pa.float64()),
                ("text", pa.string()),
                ("flag", pa.bool_()),
                ("map", pa.map_(pa.string(), pa.string())),
                ("bytes", pa.binary()),
            ]
        )
        write_deltalake(
            uri, pa.Table.from_pylist(rows, schema=schema), mode="append", partition_by=["tenant"]
        )
    before = sorted(map(repr, DeltaTable(uri).to_pyarrow_table().to_pylist()))
    done = compact(
        Lake(str(tmp_path)), "silver", "t", target_size=2**20, now=lambda: datetime.now(UTC)
    )
    assert (done.files_before, done.files_after) == (30, 3)
    assert sorted(map(repr, DeltaTable(uri).to_pyarrow_table().to_pylist())) == before
    duck = connect(Lake(str(tmp_path)))
    for where in (
        "number = 7",
        "amount = 1.75",
        "happened_at = timestamptz '2026-01-01 00:00:07.123456+00'",
        "day = date '2026-01-08'",
        "ratio = 0.875",
        "text = repeat('x', 100) || '7'",
        "tenant = 'a=b c' and number = 7",
    ):
        found = duck.execute(f"select count(*) from {delta_scan(uri)} where {where}").fetchone()
        assert found == ((1,) if "tenant" in where else (3,)), where
        rows_there = pa.table(
            DeltaTable(uri).scan(columns=["number"], predicate="number = 7").read_all()
        )
        assert rows_there.num_rows == 3
