"""A process that does nothing but commit: ``python -m benchmarks.rig.commit_run ROOT COUNT EVERY``.

The commits are those of the writer, through its own handle on a bronze table: a few rows from each
of three partitions, with the marks that carry the promise. After each ``EVERY`` of them it prints
what they took and waits for a line, so that maintenance has its turn.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.decode import batches
from benchmarks.rig.clickstream import clickstream
from benchmarks.rig.watched import sample
from ingest.contracts.registry import load_contracts
from lake.schema import PARTITION_BY, bronze_schema
from lake.tables import Lake
from lake.writer.commit import Mark, Span, TransactionalTable
from lake.writer.decode import Decoder
from lake.writer.rules import rules_number
from lake.writer.source import Source
from lake.writer.target import LOG_PROPERTIES, Target

WRITER: Final = "lakeward"
PARTITIONS: Final = 3
ROWS: Final = 5
"""From each partition in each commit."""


def hurry(properties: dict[str, str]) -> None:
    """Let checkpoints forget replaced files after a minute, as they forget them after an hour.

    The commits of an hour, at one a second, are made here in about a minute.
    """
    properties["delta.deletedFileRetentionDuration"] = "interval 60 seconds"


def main() -> None:
    """Commit, tell, wait; end when nobody answers."""
    hurry(LOG_PROPERTIES)
    root, count, every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    contract = load_contracts(None).by_name("clickstream")
    target = Target(
        Lake(root), "bronze", contract.name, bronze_schema(contract), WRITER, PARTITION_BY
    )
    table = TransactionalTable(target, WRITER)
    values = clickstream(PARTITIONS * ROWS, seed=1)
    rows = Decoder(contract, known_tenants=None).decode(batches(values)[0]).rows
    sources = [Source(contract.topic, "benchmark", number) for number in range(PARTITIONS)]
    rules = rules_number(contract, None)
    claims = [Span(one, (Mark(_rules_id(one), None, rules),), {}) for one in sources]
    table.commit(claims, rows.slice(0, 0))
    walls: list[float] = []
    cpus: list[float] = []
    for n in range(count):
        fresh = _at(rows, n * ROWS)
        spans = [_span(source, n, rules) for source in sources]
        began, cpu = time.perf_counter(), time.process_time()
        outcome = table.commit(spans, fresh)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
        assert outcome.landed == frozenset(sources), outcome
        if (n + 1) % every == 0 or n + 1 == count:
            used = sample(os.getpid())
            assert used is not None
            print(json.dumps({"walls": walls, "cpus": cpus, "rss": used.rss}), flush=True)
            walls, cpus = [], []
            if not sys.stdin.readline():
                return


def _at(rows: pa.Table, first: int) -> pa.Table:
    """Return the rows as if they had come from the next offsets."""
    numbers = np.arange(PARTITIONS * ROWS)
    partition = pa.array((numbers // ROWS).astype(np.int32))
    offset = pa.array(first + numbers % ROWS)
    columns: Sequence[tuple[str, pa.Array]] = (("_partition", partition), ("_offset", offset))
    for name, column in columns:
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows


def _span(source: Source, n: int, rules: int) -> Span:
    first, last = n * ROWS, n * ROWS + ROWS - 1
    position = Mark(source.app_id(WRITER, "clickstream"), first - 1 if n else None, last)
    record = {
        "topic": source.topic,
        "topic_id": source.topic_id,
        "partition": source.partition,
        "first": first,
        "last": last,
        "messages": ROWS,
        "rows": ROWS,
        "dead": 0,
    }
    return Span(source, (position, Mark(_rules_id(source), rules, rules)), record)


def _rules_id(source: Source) -> str:
    return f"{source.app_id(WRITER, 'clickstream')}#rules"


if __name__ == "__main__":
    main()
