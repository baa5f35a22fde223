"""Physical limits: what the single steps take when nothing else is done, one after the other."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import WriterProperties, write_deltalake

from benchmarks.report import Figure
from benchmarks.rig.clickstream import clickstream
from ingest.contracts.registry import load_contracts
from lake.tables import Lake
from lake.writer.duckdb_batch import DuckdbBatch

MESSAGES = 150_000
"""About what five flushes of 12 MiB hold."""
ROUNDS = 3
ZSTD = WriterProperties(compression="ZSTD", compression_level=1)


def limits(lake: Lake, table: str, folder: Path) -> list[Figure]:
    """Return the rates of parsing and of writing, the best of some rounds, on this machine now.

    Args:
        lake: one that was drained before; some rows of its bronze ``table`` are what is written.
        table: its name.
        folder: where to write.
    """
    contract = load_contracts(None).by_name("clickstream")
    values = clickstream(MESSAGES, seed=1)
    texts = pa.array(values, pa.binary()).view(pa.string())
    rows = pa.table(lake.open("bronze", table).to_pyarrow_dataset().head(MESSAGES))
    types = json.dumps({field.payload_name: "VARCHAR" for field in contract.fields})
    transform = f"SELECT json_transform(v, '{types}') FROM batch"
    duckdb = DuckdbBatch(threads=1)
    target = folder / "limits"

    def delta() -> None:
        write_deltalake(target, rows, mode="append", writer_properties=ZSTD)

    def parquet() -> None:
        pq.write_table(rows, folder / "limits.parquet", compression="zstd", compression_level=1)

    works: dict[str, Callable[[], object]] = {
        "orjson.loads, one thread": lambda: [orjson.loads(value) for value in values],
        "DuckDB json_transform, one thread": lambda: duckdb.run(transform, texts),
        "pyarrow write_table, zstd 1": parquet,
        "write_deltalake, zstd 1, new commit": delta,
    }
    figures = []
    for name, work in works.items():
        wall, cpu = _best(work)
        figures += [
            Figure(f"limit: {name}", len(rows) / wall, "messages/s"),
            Figure(f"limit: {name}, CPU time a message", 1e6 * cpu / MESSAGES, "us"),
        ]
    shutil.rmtree(target)
    return figures


def _best(work: Callable[[], object]) -> tuple[float, float]:
    """Return the shortest wall and CPU time of some rounds, after one to warm up."""
    work()
    walls, cpus = [], []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)
