"""Offsets by source: of dead letters, of replayed rows, and of what was erased."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
from deltalake import DeltaTable

from lake.audit.tally import Offsets, coordinates
from lake.dead_letters.history import replays_of
from lake.erasure.offsets import ErasedOffsets
from lake.tables import Lake
from lake.writer.source import Source

NO_OFFSETS: Final[Offsets] = np.zeros(0, dtype=np.int64)


class DeadOffsets:
    """Offsets of the dead letters by source: few beside the rows, so kept as they are."""

    def __init__(self, table: DeltaTable) -> None:
        parts: dict[Source, list[Offsets]] = defaultdict(list)
        for source, offsets in coordinates(table):
            parts[source].append(offsets)
        self.by_source = {source: np.concatenate(theirs) for source, theirs in parts.items()}

    def of(self, source: Source) -> Offsets:
        """Return the offsets of a source."""
        return self.by_source.get(source, NO_OFFSETS)


class ReplayedOffsets:
    """Offsets of the letters that became rows of a table, as often as a commit recorded each."""

    def __init__(self, lake: Lake, name: str, table: DeltaTable) -> None:
        parts: dict[Source, list[int]] = defaultdict(list)
        for one in replays_of(lake, name, table):
            parts[one.source].append(one.offset)
        self.by_source = {source: np.array(some, np.int64) for source, some in parts.items()}
        self._rows: dict[Source, list[Offsets]] = defaultdict(list)

    def of(self, source: Source) -> Offsets:
        """Return the offsets of a source, as often as they were recorded."""
        return self.by_source.get(source, NO_OFFSETS)

    def rows(self, source: Source) -> Offsets:
        """Return the offsets of the rows that are there, as often as they are."""
        return np.concatenate([NO_OFFSETS, *self._rows[source]])

    def take_out(self, source: Source, offsets: Offsets) -> Offsets:
        """Keep those of a table's offsets that were replayed, and return the others."""
        if source not in self.by_source:
            return offsets
        theirs = np.isin(offsets, self.by_source[source])
        self._rows[source].append(offsets[theirs])
        return offsets[~theirs]


class AnnouncedOffsets:
    """Offsets that an erasure announced; one that is still there is not erased yet."""

    def __init__(self, lake: Lake) -> None:
        self._offsets = ErasedOffsets(lake)
        self._by_table: dict[str, dict[Source, Offsets]] = {}

    def of(self, table: str, source: Source) -> Offsets:
        """Return the offsets announced for a table; to be asked after its rows were read.

        What is gone then was announced before, so one look at a table does for all its sources.
        """
        if table not in self._by_table:
            self._by_table[table] = self._offsets.of(table)
        return self._by_table[table].get(source, NO_OFFSETS)
