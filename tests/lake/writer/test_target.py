"""A table is made once, recognised, widened before its first row, and never taken from others."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ingest.contracts.model import Contract, Field
from lake.errors import ForeignTableError, LakePathError, SchemaConflictError
from lake.schema import PARTITION_BY, bronze_schema
from lake.tables import Lake
from lake.writer.target import Target, check_writable
from tests.lake.writer.bench import CONTRACT, P0, P1, WIDER, Bench, batch, landed, visit


def target(bench: Bench, contract: Contract = CONTRACT, writer: str = "lakeward") -> Target:
    return Target(
        bench.lake, "bronze", contract.name, bronze_schema(contract), writer, PARTITION_BY
    )


def test_a_new_column_is_added_before_the_first_row_that_has_it(bench: Bench) -> None:
    sink = bench.sink()
    bench.take_over(sink, P0)
    wider = bench.sink(WIDER)
    assert bench.lake.open("bronze", "visits").count() == 0
    bench.take_over(wider, P0)
    assert landed(wider.write(batch((P0, None, [visit(P0, 0, channel="web")])))) == {P0: 0}
    rows = bench.lake.open("bronze", "visits").to_pyarrow_table().to_pylist()
    assert [row["channel"] for row in rows] == ["web"]
    assert bench.audit().is_clean


def test_a_schema_change_under_a_running_writer_costs_no_batch(bench: Bench) -> None:
    # the append on the old snapshot fails with "Metadata changed"; the batch is tried again
    sink = bench.sink()
    bench.take_over(sink, P0)
    sink.write(batch((P0, None, [visit(P0, 0)])))
    target(bench, WIDER).open()
    assert landed(sink.write(batch((P0, 0, [visit(P0, 1)])))) == {P0: 1}
    assert bench.offsets() == [(0, 0), (0, 1)]
    assert bench.audit().is_clean


def test_two_writers_that_widen_a_table_at_once_both_go_on(bench: Bench) -> None:
    target(bench).open()
    contracts = [
        replace(WIDER, fields=(*WIDER.fields, Field(f"extra_{n}", f"extra_{n}", "string")))
        for n in range(4)
    ]
    failures: list[BaseException] = []
    gate = threading.Barrier(len(contracts))

    def widen(contract: Contract) -> None:
        try:
            gate.wait()
            target(bench, contract).open()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=widen, args=(contract,)) for contract in contracts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    names = [field.name for field in bench.lake.open("bronze", "visits").schema().fields]
    assert names.count("channel") == 1
    assert {f"extra_{n}" for n in range(4)} < set(names)


def test_two_writers_that_make_a_table_at_once_both_write_to_it(bench: Bench) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(4)

    def make() -> None:
        try:
            gate.wait()
            target(bench).open()
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    one, other = bench.sink(), bench.sink()
    bench.take_over(one, P0)
    bench.take_over(other, P1)
    assert landed(one.write(batch((P0, None, [visit(P0, 0)])))) == {P0: 0}
    assert landed(other.write(batch((P1, None, [visit(P1, 0)])))) == {P1: 0}


def test_a_retyped_column_is_refused_with_both_types(bench: Bench) -> None:
    target(bench).open()
    retyped = replace(
        CONTRACT,
        fields=tuple(
            replace(f, kind="integer") if f.name == "event_id" else f for f in CONTRACT.fields
        ),
    )
    with pytest.raises(SchemaConflictError, match=r"event_id .*string.* long"):
        target(bench, retyped).open()


def test_a_delta_table_that_someone_else_made_is_left_alone(bench: Bench) -> None:
    uri = bench.lake.uri("bronze", "visits")
    write_deltalake(uri, pa.table({"mine": [1]}))
    with pytest.raises(ForeignTableError, match="was not made by lakeward"):
        target(bench).open()
    assert DeltaTable(uri).version() == 0


def test_other_files_at_the_place_of_a_table_are_left_alone(bench: Bench) -> None:
    folder = Path(bench.lake.uri("bronze", "visits"))
    folder.mkdir(parents=True)
    (folder / "report.csv").write_text("a,b\n")
    with pytest.raises(ForeignTableError, match="no Delta table"):
        target(bench).open()
    assert [path.name for path in folder.iterdir()] == ["report.csv"]


def test_a_table_of_a_writer_with_another_name_is_refused(bench: Bench) -> None:
    # its transaction ids would be unknown, and every topic would be read again from its start
    target(bench).open()
    with pytest.raises(ForeignTableError, match="'lakeward', and this one is called 'second'"):
        target(bench, writer="second").open()


def test_a_lake_that_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakePathError, match="cannot write to the lake"):
        check_writable(Lake(str(tmp_path / "file" / "lake")))
