"""Which messages of a batch count, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.reasons import UNKNOWN_TENANT
from lake.writer.batch import Batch, Piece
from lake.writer.source import Source

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Offsets: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Partitions: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, slots=True)
class Taken:
    """The messages of a batch without those of partitions that were dropped since they came.

    Each message is in one of ``rows``, ``dead``, and the messages of which ``known_dead`` is true.
    """

    partition: Partitions
    """One entry a message, in poll order."""
    known_dead: Mask
    """One entry a message: true where the dead-letter table holds it already."""
    broken: Mask
    """One entry a message: true where ``dead`` has it, and not because of its tenant."""
    rows: pa.Table
    dead: pa.Table
    """What is to become dead letters now."""
    rescued_fields: int
    """Members kept in ``_rescued``, those of messages left out included."""

    @property
    def messages(self) -> Counter[int]:
        """Messages by partition."""
        numbers, counts = np.unique(self.partition, return_counts=True)
        return Counter(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


def take(
    batch: Batch, ahead: Mapping[Source, Offsets], nothing: tuple[pa.Table, pa.Table]
) -> Taken:
    """Wait for a batch's messages to be decoded, and leave out what is not to be written.

    ``ahead`` has the offsets that the dead-letter table holds already, by source; ``nothing`` no
    rows and no dead letters, with their schemas.
    """
    found = [_of_present(piece) for piece in batch.pieces]
    no_rows, no_dead = nothing
    rows = pa.concat_tables([no_rows, *(rows for _, _, rows, _ in found)])
    dead = pa.concat_tables([no_dead, *(dead for _, _, _, dead in found)])
    partition = np.concatenate([np.zeros(0, np.int32), *(numbers for numbers, _, _, _ in found)])
    offset = np.concatenate([np.zeros(0, np.int64), *(offsets for _, offsets, _, _ in found)])
    known = np.zeros(len(partition), np.bool_)
    for source, offsets in ahead.items():
        if len(offsets) and (source.topic, source.topic_id) == (batch.topic, batch.topic_id):
            known |= (partition == source.partition) & np.isin(offset, offsets)
    if known.any():
        rows, dead = (
            table.filter(pa.array(~_among(table, partition[known], offset[known])))
            for table in (rows, dead)
        )
    return Taken(
        partition=partition,
        known_dead=known,
        broken=_among_dead(dead.filter(pc.field("reason") != UNKNOWN_TENANT), partition, offset),
        rows=rows,
        dead=dead,
        rescued_fields=sum(piece.decoded().rescued_fields for piece in batch.pieces),
    )


def counts_of(table: pa.Table) -> Counter[int]:
    """Return how many rows each partition has."""
    found = pc.value_counts(table["_partition"])
    return Counter(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))


def _of_present(piece: Piece) -> tuple[Partitions, Offsets, pa.Table, pa.Table]:
    """Return a piece's messages, rows and dead letters without those of dropped partitions."""
    decoded = piece.decoded()
    partition, offset = piece.partition.to_numpy(), piece.offset.to_numpy()
    if not piece.dropped:
        return partition, offset, decoded.rows, decoded.dead
    gone = sorted(piece.dropped)
    there = ~np.isin(partition, gone)
    rows, dead = (
        table.filter(pa.array(~np.isin(table["_partition"].to_numpy(), gone)))
        for table in (decoded.rows, decoded.dead)
    )
    return partition[there], offset[there], rows, dead


def _among_dead(dead: pa.Table, partition: Partitions, offset: Offsets) -> Mask:
    """Return for each message whether ``dead`` has it."""
    dead_partitions, dead_offsets = dead["_partition"].to_numpy(), dead["_offset"].to_numpy()
    return _in(partition, offset, dead_partitions, dead_offsets)


def _among(table: pa.Table, partition: Partitions, offset: Offsets) -> Mask:
    """Return for each row of ``table`` whether it is one of these messages."""
    return _in(table["_partition"].to_numpy(), table["_offset"].to_numpy(), partition, offset)


def _in(
    partition: Partitions, offset: Offsets, in_partition: Partitions, in_offset: Offsets
) -> Mask:
    found = np.zeros(len(partition), np.bool_)
    for number in np.unique(in_partition):
        theirs = in_offset[in_partition == number]
        found |= (partition == number) & np.isin(offset, theirs)
    return found
