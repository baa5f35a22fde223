"""The spill keeps what it promised, whatever the crash left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.collector.record import Record
from ingest.collector.spill import Spill
from ingest.errors import CollectorError, SpillFullError


def records(*names: str) -> list[Record]:
    return [
        Record("t", f"acme|{name}".encode(), name.encode() * 10, [("h", b"1"), ("none", None)])
        for name in names
    ]


async def drained(spill: Spill) -> list[Record]:
    found: list[Record] = []
    while (path := spill.take_oldest()) is not None:
        found += spill.read(path)
        spill.done(path)
    return found


def kept(folder: Path, *batches: list[Record]) -> None:
    async def keep() -> None:
        spill = Spill(folder, 10**6)
        for batch in batches:
            await spill.append(batch)
        await spill.close()

    asyncio.run(keep())


def found(folder: Path) -> list[Record]:
    async def find() -> list[Record]:
        spill = Spill(folder, 10**6)
        try:
            return await drained(spill)
        finally:
            await spill.close()

    return asyncio.run(find())


def test_what_was_kept_comes_back_in_order(tmp_path: Path) -> None:
    kept(tmp_path, records("a", "b"), records("c"))
    kept(tmp_path, records("d"))
    assert found(tmp_path) == records("a", "b", "c", "d")
    assert list(tmp_path.glob("*.spill")) == []


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 40])
def test_a_record_that_a_crash_cut_short_costs_no_other(tmp_path: Path, cut: int) -> None:
    kept(tmp_path, records("a", "b"))
    (file,) = tmp_path.glob("*.spill")
    whole = file.read_bytes()
    third = records("c")[0].encode()
    file.write_bytes(whole + third[:cut])
    assert found(tmp_path) == records("a", "b")


def test_zeros_after_a_power_cut_are_the_end(tmp_path: Path) -> None:
    kept(tmp_path, records("a"))
    (file,) = tmp_path.glob("*.spill")
    file.write_bytes(file.read_bytes() + bytes(4096))
    assert found(tmp_path) == records("a")
    assert list(tmp_path.glob("*.damaged")) == []


def test_a_damaged_file_is_kept_for_a_person(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept(tmp_path, records("a", "b", "c"))
    (file,) = tmp_path.glob("*.spill")
    data = bytearray(file.read_bytes())
    data[data.index(b"bbbb")] ^= 1
    file.write_bytes(bytes(data))
    assert found(tmp_path) == records("a")
    (damaged,) = tmp_path.glob("*.damaged")
    assert damaged.read_bytes() == bytes(data)
    assert "spill_damaged" in caplog.text


def test_a_full_spill_takes_nothing_and_promises_nothing(tmp_path: Path) -> None:
    async def fill() -> None:
        spill = Spill(tmp_path, 400)
        await spill.append(records("a", "b"))
        with pytest.raises(SpillFullError):
            await spill.append(records(*"cdefgh"))
        assert await drained(spill) == records("a", "b")
        await spill.append(records("c"))
        assert await drained(spill) == records("c")
        assert spill.is_empty
        assert spill.size == 0
        await spill.close()

    asyncio.run(fill())


def test_records_that_come_together_are_all_kept(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(200)]

    async def keep() -> None:
        spill = Spill(tmp_path, 10**6, file_bytes=2_000)
        await asyncio.gather(*(spill.append(records(name)) for name in names))
        await spill.close()

    asyncio.run(keep())
    assert found(tmp_path) == records(*names)


def test_a_folder_belongs_to_one_collector(tmp_path: Path) -> None:
    spill = Spill(tmp_path, 1_000)
    with pytest.raises(CollectorError, match="another collector"):
        Spill(tmp_path, 1_000)
    asyncio.run(spill.close())
