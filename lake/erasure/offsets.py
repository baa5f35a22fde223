"""Which offsets an erasure took away, so that the audit can tell an erased row from a lost one.

``ops/erased_offsets`` names them one by one, as ranges without holes. They are written down
*before* the commit that erases them: an erasure that dies in between has announced offsets that
are still there, which the audit sees, and announces them again when it goes on. The other way round
rows would be gone and nobody could say why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake

from lake.tables import Lake, read_rows
from lake.writer.source import Source
from lake.writer.target import Target

ERASED_OFFSETS: Final = "erased_offsets"
ERASURE: Final = "erasure"
"""The writer's name in the tables that erasures keep."""

COORDINATES: Final = ("_topic", "_topic_id", "_partition", "_offset")
"""The columns that name the message a row came from."""

Offsets: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

SCHEMA: Final = pa.schema(
    [
        pa.field("erasure_id", pa.string()),
        pa.field("table", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("first_offset", pa.int64()),
        pa.field("last_offset", pa.int64()),
    ]
)


class ErasedOffsets:
    """The erased offsets of one lake; ``table`` is always the name of a bronze table."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._target = Target(lake, "ops", ERASED_OFFSETS, SCHEMA, ERASURE)

    def announce(self, erasure_id: str, table: str, offsets: Mapping[Source, Offsets]) -> None:
        """Write down, in one commit, which offsets are about to be erased.

        Raises:
            LakePathError: the table cannot be opened or made.
        """
        parts = []
        for source, theirs in sorted(offsets.items()):
            firsts, lasts = runs(theirs)
            count = len(firsts)
            parts.append(
                pa.table(
                    [
                        pa.repeat(erasure_id, count),
                        pa.repeat(table, count),
                        pa.repeat(source.topic, count),
                        pa.repeat(source.topic_id, count),
                        pa.repeat(pa.scalar(source.partition, pa.int32()), count),
                        pa.array(firsts, pa.int64()),
                        pa.array(lasts, pa.int64()),
                    ],
                    schema=SCHEMA,
                )
            )
        if parts:
            write_deltalake(self._target.open(), pa.concat_tables(parts), mode="append")

    def of(self, table: str, erasure_id: str | None = None) -> dict[Source, Offsets]:
        """Return the offsets announced for a bronze table, each once, ascending, by source.

        Args:
            table: its name.
            erasure_id: only those of this erasure; None: of all.

        Raises:
            LakePathError: they cannot be read.
        """
        if not self._lake.exists("ops", ERASED_OFFSETS):
            return {}
        rows = read_rows(self._lake.open("ops", ERASED_OFFSETS)).cast(SCHEMA)
        rows = rows.filter(pc.equal(rows["table"], table))
        if erasure_id is not None:
            rows = rows.filter(pc.equal(rows["erasure_id"], erasure_id))
        named = rows.group_by(["topic", "topic_id", "partition"]).aggregate([]).to_pylist()
        found: dict[Source, Offsets] = {}
        for names in named:
            theirs = rows
            for column, value in names.items():
                theirs = theirs.filter(pc.equal(theirs[column], value))
            source = Source(names["topic"], names["topic_id"], names["partition"])
            found[source] = unrolled(
                theirs["first_offset"].to_numpy(), theirs["last_offset"].to_numpy()
            )
        return found

    def count(self, table: str, erasure_id: str | None = None) -> int:
        """Return how many offsets ``of`` gives."""
        return sum(len(theirs) for theirs in self.of(table, erasure_id).values())


def runs(offsets: Offsets) -> tuple[Offsets, Offsets]:
    """Return the first and last offsets of the ranges without holes that offsets make up."""
    sorted_ones = np.unique(offsets)
    if not len(sorted_ones):
        return sorted_ones, sorted_ones
    breaks = np.flatnonzero(np.diff(sorted_ones) != 1)
    firsts = sorted_ones[np.concatenate([[0], breaks + 1])]
    lasts = sorted_ones[np.concatenate([breaks, [len(sorted_ones) - 1]])]
    return firsts, lasts


def unrolled(firsts: Offsets, lasts: Offsets) -> Offsets:
    """Return every offset of ranges that may overlap, each once, ascending."""
    sizes = lasts - firsts + 1
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total, dtype=np.int64) - np.repeat(ends - sizes, sizes)
    offsets: Offsets = np.unique(places + np.repeat(firsts, sizes))
    return offsets


def by_source(rows: Iterable[pa.Table]) -> dict[Source, Offsets]:
    """Return the offsets of rows that have Kafka's coordinates."""
    found: dict[Source, list[Offsets]] = defaultdict(list)
    for table in rows:
        names = table.group_by(["_topic", "_topic_id", "_partition"]).aggregate([])
        for one in names.to_pylist():
            mask = pc.and_(
                pc.and_(
                    pc.equal(table["_topic"], one["_topic"]),
                    pc.equal(table["_topic_id"], one["_topic_id"]),
                ),
                pc.equal(table["_partition"], one["_partition"]),
            )
            source = Source(one["_topic"], one["_topic_id"], one["_partition"])
            found[source].append(table.filter(mask)["_offset"].to_numpy())
    return {source: np.concatenate(theirs) for source, theirs in found.items()}
