"""Count, for one source, how often each offset is in a table: exact, one byte an offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.writer.source import Source
from lake.writer.taken import Mask

COLUMNS: Final = ("_topic", "_topic_id", "_partition", "_offset")
ROWS_AT_ONCE: Final = 1_000_000
MOST: Final = 255
"""Where counting one offset ends; ``total`` stays exact beyond it."""

Offsets = np.ndarray[Any, np.dtype[np.int64]]
Counts = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(slots=True)
class Tally:
    """How often a table holds each offset from ``first`` to ``last``, and what lies outside."""

    first: int
    last: int
    counts: Counts = field(init=False)
    total: int = 0
    """Rows with an offset from ``first`` to ``last``."""
    outside: list[Offsets] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = np.zeros(max(0, self.last - self.first + 1), dtype=np.uint8)

    def add(self, offsets: Offsets) -> None:
        """Count some rows' offsets."""
        inside = (offsets >= self.first) & (offsets <= self.last)
        if not inside.all():
            self.outside.append(offsets[~inside])
            offsets = offsets[inside]
        self.total += len(offsets)
        found, times = np.unique(offsets - self.first, return_counts=True)
        self.counts[found] = np.minimum(self.counts[found] + times, MOST).astype(np.uint8)

    def among(self, offsets: Offsets) -> Mask:
        """Return which of the offsets from ``first`` to ``last`` are among ``offsets``."""
        found = np.zeros(len(self.counts), dtype=np.bool_)
        inside = offsets[(offsets >= self.first) & (offsets <= self.last)]
        found[inside - self.first] = True
        return found

    @property
    def surplus(self) -> int:
        """Rows beyond the first of their offset."""
        return self.total - int(np.count_nonzero(self.counts))

    def strays(self) -> Offsets:
        """Return the offsets outside, sorted."""
        if not self.outside:
            return np.zeros(0, dtype=np.int64)
        return np.sort(np.concatenate(self.outside))


def per_range(present: np.ndarray[Any, Any], first: int, ranges: Sequence[tuple[int, int]]) -> Any:
    """Return how many of ``present`` are true in each range of offsets, both ends inclusive.

    ``present`` begins at offset ``first``; ranges are ascending and do not overlap.
    """
    if not ranges:
        return np.zeros(0, dtype=np.int64)
    edges = np.array([(a - first, b + 1 - first) for a, b in ranges], dtype=np.int64).ravel()
    padded = np.append(present, np.zeros(1, dtype=present.dtype))
    return np.add.reduceat(padded, edges, dtype=np.int64)[::2]


def coordinates(table: DeltaTable) -> Iterator[tuple[Source, Offsets]]:
    """Yield the sources and offsets of all rows of a table, a million rows at a time."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for arrived in table.scan(columns=list(COLUMNS)):
        waiting.append(pa.record_batch(arrived))
        rows += waiting[-1].num_rows
        if rows >= ROWS_AT_ONCE:
            yield from _by_source(pa.Table.from_batches(waiting))
            waiting, rows = [], 0
    if rows:
        yield from _by_source(pa.Table.from_batches(waiting))


def _by_source(rows: pa.Table) -> Iterator[tuple[Source, Offsets]]:
    rows = rows.set_column(0, "_topic", rows["_topic"].cast(pa.string()))
    rows = rows.set_column(1, "_topic_id", rows["_topic_id"].cast(pa.string()))
    named = rows.group_by(["_topic", "_topic_id", "_partition"]).aggregate([]).to_pylist()
    if len(named) == 1:
        yield _source(named[0]), rows["_offset"].to_numpy()
        return
    partitions = rows["_partition"].to_numpy()
    offsets = rows["_offset"].to_numpy()
    for names in named:
        of_topic = pc.and_kleene(
            pc.equal(rows["_topic"], names["_topic"]),
            pc.equal(rows["_topic_id"], names["_topic_id"]),
        )
        mask = of_topic.to_numpy(zero_copy_only=False) & (partitions == names["_partition"])
        yield _source(names), offsets[mask]


def _source(names: dict[str, Any]) -> Source:
    return Source(names["_topic"], names["_topic_id"], names["_partition"])
