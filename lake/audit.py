"""Prove the promise: every offset up to the stored one is in the lake exactly once.

The audit reads only the lake. For each source (a partition of one incarnation of a topic) it holds
three things against each other: the stored offset (the Delta transaction id), the ranges and counts
that each commit recorded, and the coordinates of every row in bronze and in the dead letters. It
asks that

- the ranges follow on each other from where the source was first seen up to the stored offset, and
  a hole is one that a person accepted (``ops.journal``);
- in each range there are exactly the rows and dead letters that were recorded, and they account
  for every message that Kafka delivered; an offset that never carried a message (a transaction
  marker, an aborted or a compacted message) was not delivered, and so is no loss;
- no offset is there twice, in bronze, in the dead letters, or in both;
- no row lies outside what was recorded.

Rows that the erasure of a tenant took away are named one by one in ``ops/erased_offsets``, and
count as where they were. A dead letter that was replayed is in both tables, and counts as a row:
the commit that brought the row recorded which letters it replayed, and only such a row may share
its offset with a letter. Compaction moves rows to other files and changes none of this. What
commits recorded is read from the log, and from ``ops/commit_ranges`` where maintenance has folded
it (``lake.commit_ranges``).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from deltalake import DeltaTable

from lake.audit_tally import Offsets, Tally, coordinates, per_range
from lake.commit_ranges import Range, recorded
from lake.dead_letters.history import replays_of
from lake.erasure.offsets import ErasedOffsets
from lake.errors import MissingTableError
from lake.journal import Entry, Journal, accepted_gaps, incarnations
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source
from lake.writer.taken import Mask
from lake.writer.target import ROLE, WRITER

logger = logging.getLogger(__name__)

NO_OFFSETS: Final[Offsets] = np.zeros(0, dtype=np.int64)

EXAMPLES: Final = 10
"""Offsets named in a finding; its count is exact."""

FindingKind = Literal["lost", "doubled", "unexpected", "gap", "overlap", "position"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where the promise does not hold.

    ``lost``: a message was delivered and is nowhere. ``doubled``: an offset is there more than
    once. ``unexpected``: a row that no commit recorded. ``gap``: offsets that no commit recorded
    and nobody accepted. ``overlap``: two commits recorded one offset. ``position``: the stored
    offset is not where the last recorded range ends.
    """

    kind: FindingKind
    table: str
    source: Source
    count: int
    what: str
    offsets: tuple[int, ...] = ()
    """The first of the offsets concerned."""


@dataclass(frozen=True, slots=True)
class PartitionAudit:
    """What was found for one source."""

    table: str
    source: Source
    is_current: bool
    """False for a topic that has been deleted and made again since."""
    first: int | None
    """The first offset that was to be read."""
    stored: int | None
    """The last offset that is settled; None: nothing yet."""
    messages: int = 0
    """Messages that Kafka delivered up to the stored offset."""
    rows: int = 0
    """Rows in bronze."""
    dead: int = 0
    """Dead letters up to the stored offset, but for those that are rows now."""
    replayed: int = 0
    """Rows that were dead letters first."""
    not_carried: int = 0
    """Offsets that never carried a message: markers, aborted and compacted messages."""
    accepted_gap: int = 0
    """Offsets that Kafka had lost and a person accepted."""
    ahead: int = 0
    """Dead letters beyond the stored offset: a writer stopped between its two commits, and the
    next run takes them up."""
    late: int = 0
    """Dead letters beyond those recorded, where Kafka no longer had a message for the writer that
    passed: another had read it before it expired or was compacted away, lost the partition, and
    stored its dead letters all the same. Each is there once."""
    erased: int = 0
    """Offsets that were there and were erased with their tenant."""
    commits: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The verdict on a lake."""

    partitions: tuple[PartitionAudit, ...]
    versions: Mapping[str, int] = field(default_factory=dict)
    """The version of each table that was looked at."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong."""
        return tuple(finding for part in self.partitions for finding in part.findings)

    @property
    def is_clean(self) -> bool:
        """True when the promise holds."""
        return not self.findings

    def count(self, kind: FindingKind) -> int:
        """How many offsets or rows findings of a kind concern."""
        return sum(finding.count for finding in self.findings if finding.kind == kind)

    @property
    def messages(self) -> int:
        """Messages settled in all partitions."""
        return sum(part.messages for part in self.partitions)

    @property
    def rows(self) -> int:
        """Rows in all bronze tables."""
        return sum(part.rows for part in self.partitions)

    @property
    def dead(self) -> int:
        """Dead letters of all partitions."""
        return sum(part.dead for part in self.partitions)

    @property
    def replayed(self) -> int:
        """Rows that were dead letters first."""
        return sum(part.replayed for part in self.partitions)

    @property
    def erased(self) -> int:
        """Offsets of all partitions that were erased with their tenant."""
        return sum(part.erased for part in self.partitions)


def audit(lake: Lake, *, topic: str | None = None) -> AuditReport:
    """Hold rows, recorded ranges and stored offsets against each other.

    Takes two bytes of memory an offset and reads only the coordinates. May run while writers do:
    bronze is looked at first, and its dead letters are always committed before it.

    Args:
        lake: which lake.
        topic: only this topic; None: all.

    Raises:
        MissingTableError: nothing was written yet, or not from ``topic``.
    """
    names = [name for name in lake.names("bronze") if name != DEAD_LETTERS]
    tables = {name: lake.open("bronze", name) for name in names}
    tables = {n: t for n, t in tables.items() if ROLE in t.metadata().configuration}
    if not tables:
        raise MissingTableError(
            f"nothing to audit: there is no bronze table below {lake.root}",
            hint="`lakeward write` makes them.",
        )
    ranges = {}
    for name in tables:
        tables[name], ranges[name] = recorded(lake, name, tables[name])
    replayed = {name: _Replayed(lake, name, table) for name, table in tables.items()}
    dead_letters = lake.open("bronze", DEAD_LETTERS)
    writer = dead_letters.metadata().configuration.get(WRITER, "")
    entries = Journal(lake, writer).entries()
    dead = _Dead(dead_letters)
    erased = _Erased(lake)
    found: list[PartitionAudit] = []
    for name, table in tables.items():
        found += _TableAudit(
            name, table, ranges[name], replayed[name], writer, entries, dead, erased, topic
        ).run()
    if topic is not None and not found:
        raise MissingTableError(
            f"nothing to audit: nothing was written from the topic {topic}",
            hint="`lakeward audit` without --topic shows those there are.",
        )
    found += _unclaimed(dead, {part.source for part in found}, topic)
    versions = {name: table.version() for name, table in tables.items()}
    return AuditReport(tuple(found), {**versions, DEAD_LETTERS: dead_letters.version()})


class _Dead:
    """Offsets of the dead letters by source: few beside the rows, so kept as they are."""

    def __init__(self, table: DeltaTable) -> None:
        parts: dict[Source, list[Offsets]] = defaultdict(list)
        for source, offsets in coordinates(table):
            parts[source].append(offsets)
        self.by_source = {source: np.concatenate(theirs) for source, theirs in parts.items()}

    def of(self, source: Source) -> Offsets:
        return self.by_source.get(source, NO_OFFSETS)


class _Replayed:
    """Offsets of the letters that became rows of a table, as often as a commit recorded each."""

    def __init__(self, lake: Lake, name: str, table: DeltaTable) -> None:
        parts: dict[Source, list[int]] = defaultdict(list)
        for one in replays_of(lake, name, table):
            parts[one.source].append(one.offset)
        self.by_source = {source: np.array(some, np.int64) for source, some in parts.items()}
        self._rows: dict[Source, list[Offsets]] = defaultdict(list)

    def of(self, source: Source) -> Offsets:
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


class _Erased:
    """Offsets that an erasure announced; one that is still there is not erased yet."""

    def __init__(self, lake: Lake) -> None:
        self._offsets = ErasedOffsets(lake)
        self._by_table: dict[str, dict[Source, Offsets]] = {}

    def of(self, table: str, source: Source, tally: Tally) -> Mask:
        """Return which of the tally's offsets were announced for a table."""
        if table not in self._by_table:
            self._by_table[table] = self._offsets.of(table)
        return _mask(self._by_table[table].get(source, NO_OFFSETS), tally)

    def has(self, table: str, source: Source) -> Offsets:
        """Return the offsets announced for a table."""
        return self._offsets.of(table).get(source, NO_OFFSETS)


class _TableAudit:
    """Audits one bronze table."""

    def __init__(
        self,
        name: str,
        table: DeltaTable,
        ranges: Mapping[Source, Sequence[Range]],
        replayed: _Replayed,
        writer: str,
        entries: Sequence[Entry],
        dead: _Dead,
        erased: _Erased,
        topic: str | None,
    ) -> None:
        self._name = name
        self._table = table
        self._writer = writer
        self._entries = entries
        self._dead = dead
        self._erased = erased
        self._topic = topic
        self._current = set(incarnations(entries).values())
        self._ranges = ranges
        self._replayed = replayed

    def run(self) -> list[PartitionAudit]:
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
            self._audit(source, tallies[source])
            for source in sorted(tallies)
            if self._topic is None or source.topic == self._topic
        ]

    def _audit(self, source: Source, bronze: Tally) -> PartitionAudit:
        ranges = self._ranges.get(source, [])
        stored = self._table.transaction_version(source.app_id(self._writer, self._name))
        gaps = _united(accepted_gaps(self._entries, source))
        dead = Tally(bronze.first, bronze.last)
        dead.add(self._dead.of(source))
        came_back = self._replayed.rows(source)
        was_bronze = self._erased.of(self._name, source, bronze)
        was_bronze &= ~_mask(self._replayed.of(source), bronze)  # those are letters to the ranges
        was_dead = self._erased.of(DEAD_LETTERS, source, dead)
        strays = dead.strays()
        early = int(np.count_nonzero(strays < bronze.first)) if ranges else 0
        findings = [
            *self._chain(source, ranges, stored, gaps),
            *self._contents(source, ranges, bronze, dead, was_bronze, was_dead, gaps),
            *self._came_back(source, came_back),
        ]
        erased_dead = was_dead & (dead.counts == 0)
        erased = (was_bronze & (bronze.counts == 0)) | erased_dead
        dead_once = dead.total + early + int(np.count_nonzero(erased_dead))
        first = self._first_seen(source, ranges)
        return PartitionAudit(
            table=self._name,
            source=source,
            is_current=source in self._current,
            first=first,
            stored=stored,
            messages=sum(r.messages for r in ranges),
            rows=bronze.total + len(bronze.strays()) + len(came_back),
            dead=dead.total + early - int(np.isin(self._dead.of(source), came_back).sum()),
            replayed=len(came_back),
            not_carried=sum(r.last - r.first + 1 - r.messages for r in ranges),
            accepted_gap=sum(b - a + 1 for a, b in gaps),
            ahead=len(strays) - early,
            late=max(0, dead_once - sum(r.dead for r in ranges)) if ranges else 0,
            erased=int(
                np.count_nonzero(
                    erased & (bronze.counts == 0) & (dead.counts == 0) & ~_mask(came_back, bronze)
                )
            ),
            commits=sum(r.commits for r in ranges),
            findings=tuple(findings),
        )

    def _first_seen(self, source: Source, ranges: Sequence[Range]) -> int | None:
        for entry in self._entries:
            if entry.source == source and entry.kind != "gap_accepted":
                return entry.first_offset
        return ranges[0].first if ranges else None

    def _chain(
        self,
        source: Source,
        ranges: Sequence[Range],
        stored: int | None,
        gaps: Sequence[tuple[int, int]],
    ) -> Iterable[Finding]:
        """The ranges follow on each other, from the start up to the stored offset."""
        expected = self._first_seen(source, ranges)
        for this in ranges:
            if expected is not None and this.first > expected:
                hole = _minus((expected, this.first - 1), gaps)
                count = sum(b - a + 1 for a, b in hole)
                if count:
                    yield self._finding(
                        "gap",
                        source,
                        count,
                        f"offsets {expected:,} to {this.first - 1:,} were never recorded",
                        [a for a, _ in hole],
                    )
            elif expected is not None and this.first < expected:
                yield self._finding(
                    "overlap",
                    source,
                    min(expected - 1, this.last) - this.first + 1,
                    f"{this.label} recorded offsets from {this.first:,} again",
                    [this.first],
                )
            expected = max(this.last + 1, expected or 0)
        end = ranges[-1].last if ranges else None
        if stored != end:
            yield self._finding(
                "position",
                source,
                1,
                f"the stored offset is {_or_none(stored)}, the recorded ranges end at "
                f"{_or_none(end)}",
            )

    def _contents(
        self,
        source: Source,
        ranges: Sequence[Range],
        bronze: Tally,
        dead: Tally,
        was_bronze: Mask,
        was_dead: Mask,
        gaps: Sequence[tuple[int, int]],
    ) -> Iterable[Finding]:
        """Each range holds what was recorded for it, each offset once."""
        in_bronze, in_dead = bronze.counts > 0, dead.counts > 0
        for tally, where in ((bronze, self._name), (dead, DEAD_LETTERS)):
            if tally.surplus:
                twice = np.flatnonzero(tally.counts > 1) + tally.first
                yield self._finding(
                    "doubled", source, tally.surplus, f"rows too many in {where}", twice
                )
        both = np.flatnonzero(in_bronze & in_dead) + bronze.first
        if len(both):
            yield self._finding(
                "doubled", source, len(both), f"in {self._name} and in {DEAD_LETTERS}", both
            )
        strays = bronze.strays()
        if len(strays):
            yield self._finding(
                "unexpected", source, len(strays), "rows outside every recorded range", strays
            )
        early = dead.strays()[dead.strays() < bronze.first]
        for a, b in gaps:
            early = early[(early < a) | (early > b)]
        if len(early) and ranges:
            yield self._finding(
                "unexpected", source, len(early), "dead letters before every range", early
            )
        yield from self._per_range(
            source, ranges, bronze.first, in_bronze | was_bronze, in_dead | was_dead
        )

    def _came_back(self, source: Source, there: Offsets) -> Iterable[Finding]:
        """Each letter that was replayed is one row, was replayed once, and was a letter."""
        recorded, times = np.unique(self._replayed.of(source), return_counts=True)
        if not len(recorded):
            return
        rows, row_times = np.unique(there, return_counts=True)
        gone = np.setdiff1d(recorded, rows)
        gone = np.setdiff1d(gone, self._erased.has(self._name, source))
        if len(gone):
            what = "replayed letters are no rows any more"
            yield self._finding("lost", source, len(gone), what, gone)
        if len(there) > len(rows):
            what = f"rows too many in {self._name} of letters that were replayed"
            count = len(there) - len(rows)
            yield self._finding("doubled", source, count, what, rows[row_times > 1])
        if (times > 1).any():
            again = recorded[times > 1]
            what = "letters were replayed more than once"
            yield self._finding("overlap", source, len(again), what, again)
        strange = np.setdiff1d(recorded, self._dead.of(source))
        strange = np.setdiff1d(strange, self._erased.has(DEAD_LETTERS, source))
        if len(strange):
            what = "rows are said to be replayed from letters that there are not"
            yield self._finding("unexpected", source, len(strange), what, strange)

    def _per_range(
        self,
        source: Source,
        ranges: Sequence[Range],
        first: int,
        in_bronze: Mask,
        in_dead: Mask,
    ) -> Iterable[Finding]:
        """What was erased counts as being where it was."""
        spans = _disjoint(ranges)
        edges = [(r.first, r.last) for r in spans]
        rows = per_range(in_bronze, first, edges)
        dead = per_range(in_dead, first, edges)
        settled = per_range(in_bronze | in_dead, first, edges)
        for this, row_count, dead_count, present in zip(spans, rows, dead, settled, strict=True):
            missing = this.messages - int(present)
            if missing > 0:
                inside = slice(this.first - first, this.last + 1 - first)
                absent = np.flatnonzero(~(in_bronze | in_dead)[inside]) + this.first
                among = "" if len(absent) == missing else f", among {len(absent):,} absent offsets"
                yield self._finding(
                    "lost",
                    source,
                    missing,
                    f"messages of {this.label} (offsets {this.first:,} to "
                    f"{this.last:,}) are nowhere{among}",
                    absent,
                )
            elif missing < 0 and (row_count, row_count + dead_count) != (this.rows, present):
                yield self._finding(
                    "unexpected",
                    source,
                    -missing,
                    f"{this.label} recorded {this.messages:,} messages (offsets "
                    f"{this.first:,} to {this.last:,}), and there are more",
                    [this.first],
                )
            elif int(row_count) != this.rows and int(row_count) + int(dead_count) == int(present):
                yield self._finding(
                    "unexpected",
                    source,
                    abs(int(row_count) - this.rows),
                    f"{this.label} recorded {this.rows:,} rows and {this.dead:,} dead "
                    f"letters, and there are {int(row_count):,} and {int(dead_count):,}",
                    [this.first],
                )

    def _finding(
        self,
        kind: FindingKind,
        source: Source,
        count: int,
        what: str,
        offsets: Sequence[int] | Offsets = (),
    ) -> Finding:
        named = tuple(int(offset) for offset in offsets[:EXAMPLES])
        return Finding(kind, self._name, source, int(count), what, named)


def _mask(offsets: Offsets, tally: Tally) -> Mask:
    """Return which of the tally's offsets are among ``offsets``."""
    found = np.zeros(len(tally.counts), dtype=np.bool_)
    inside = offsets[(offsets >= tally.first) & (offsets <= tally.last)]
    found[inside - tally.first] = True
    return found


def _unclaimed(dead: _Dead, known: set[Source], topic: str | None) -> list[PartitionAudit]:
    """Dead letters of a source that no bronze table knows yet: all ahead, or put there by hand."""
    return [
        PartitionAudit(
            table=DEAD_LETTERS,
            source=source,
            is_current=False,
            first=None,
            stored=None,
            ahead=len(offsets),
        )
        for source, offsets in sorted(dead.by_source.items(), key=lambda item: item[0])
        if source not in known and (topic is None or source.topic == topic)
    ]


def _disjoint(ranges: Sequence[Range]) -> list[Range]:
    """Return the ranges that begin after the one before them ends; overlaps are told apart."""
    found: list[Range] = []
    for this in ranges:
        if not found or this.first > found[-1].last:
            found.append(this)
    return found


def _united(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of offsets that cover the same and do not overlap, ascending."""
    found: list[tuple[int, int]] = []
    for a, b in sorted(parts):
        if found and a <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return found


def _minus(whole: tuple[int, int], parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of a range of offsets when others are taken out of it."""
    left = [whole]
    for a, b in parts:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, a - 1)), (max(first, b + 1), last))
            if piece[0] <= piece[1]
        ]
    return left


def _or_none(offset: int | None) -> str:
    return "none" if offset is None else f"{offset:,}"
