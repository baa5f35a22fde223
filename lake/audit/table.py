"""Audit one bronze table: gather the evidence for each of its sources, and judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from deltalake import DeltaTable

from lake.audit.checks import findings
from lake.audit.evidence import Evidence
from lake.audit.offsets import AnnouncedOffsets, DeadOffsets, ReplayedOffsets
from lake.audit.partition import PartitionAudit
from lake.audit.spans import count, united
from lake.audit.tally import Tally, coordinates
from lake.commit_ranges import Range
from lake.journal import Entry, accepted_gaps, incarnations
from lake.tables import DEAD_LETTERS
from lake.writer.source import Source


class TableAudit:
    """Audits one bronze table."""

    def __init__(
        self,
        name: str,
        table: DeltaTable,
        ranges: Mapping[Source, Sequence[Range]],
        replayed: ReplayedOffsets,
        writer: str,
        entries: Sequence[Entry],
        dead: DeadOffsets,
        announced: AnnouncedOffsets,
        topic: str | None,
    ) -> None:
        """Take what the lake says; nothing of the table itself is read yet."""
        self._name = name
        self._table = table
        self._writer = writer
        self._entries = entries
        self._dead = dead
        self._announced = announced
        self._topic = topic
        self._current = set(incarnations(entries).values())
        self._ranges = ranges
        self._replayed = replayed

    def run(self) -> list[PartitionAudit]:
        """Read the coordinates of all rows, and return what was found for each source."""
        tallies: dict[Source, Tally] = {}
        topics = {source.topic for source in self._ranges}
        known = {e.source for e in self._entries if e.source.topic in topics}
        known |= self._ranges.keys() | self._replayed.by_source.keys()
        for source in known:
            ranges = self._ranges.get(source, [])
            last = max((r.last for r in ranges), default=-1)
            tallies[source] = Tally(min((r.first for r in ranges), default=0), last)
        for source, offsets in coordinates(self._table):
            tally = tallies.setdefault(source, Tally(0, -1))
            tally.add(self._replayed.take_out(source, offsets))
        return [
            self._judged(self._evidence(source, tallies[source]))
            for source in sorted(tallies)
            if self._topic is None or source.topic == self._topic
        ]

    def _evidence(self, source: Source, bronze: Tally) -> Evidence:
        ranges = self._ranges.get(source, [])
        letters = self._dead.of(source)
        replays = self._replayed.of(source)
        dead = Tally(bronze.first, bronze.last)
        dead.add(letters)
        erased_rows = self._announced.of(self._name, source)
        erased_letters = self._announced.of(DEAD_LETTERS, source)
        return Evidence(
            table=self._name,
            source=source,
            first=self._first_seen(source, ranges),
            stored=self._table.transaction_version(source.app_id(self._writer, self._name)),
            ranges=ranges,
            gaps=united(accepted_gaps(self._entries, source)),
            bronze=bronze,
            dead=dead,
            letters=letters,
            replays=replays,
            came_back=self._replayed.rows(source),
            # those that were replayed are letters to the ranges
            was_bronze=bronze.among(erased_rows) & ~bronze.among(replays),
            was_dead=dead.among(erased_letters),
            erased_rows=erased_rows,
            erased_letters=erased_letters,
        )

    def _judged(self, of: Evidence) -> PartitionAudit:
        is_no_row, is_no_letter = of.bronze.counts == 0, of.dead.counts == 0
        erased_dead = of.was_dead & is_no_letter
        erased = (of.was_bronze & is_no_row) | erased_dead
        erased &= is_no_row & is_no_letter & ~of.bronze.among(of.came_back)
        early = len(of.early)
        dead_once = of.dead.total + early + int(np.count_nonzero(erased_dead))
        return PartitionAudit(
            table=of.table,
            source=of.source,
            is_current=of.source in self._current,
            first=of.first,
            stored=of.stored,
            messages=sum(r.messages for r in of.ranges),
            rows=of.bronze.total + len(of.bronze.strays()) + len(of.came_back),
            dead=of.dead.total + early - int(np.isin(of.letters, of.came_back).sum()),
            replayed=len(of.came_back),
            not_carried=sum(r.last - r.first + 1 - r.messages for r in of.ranges),
            accepted_gap=count(of.gaps),
            ahead=len(of.dead.strays()) - early,
            late=max(0, dead_once - sum(r.dead for r in of.ranges)) if of.ranges else 0,
            erased=int(np.count_nonzero(erased)),
            commits=sum(r.commits for r in of.ranges),
            findings=tuple(findings(of)),
        )

    def _first_seen(self, source: Source, ranges: Sequence[Range]) -> int | None:
        for entry in self._entries:
            if entry.source == source and entry.kind != "gap_accepted":
                return entry.first_offset
        return ranges[0].first if ranges else None
