"""Read everything that Kafka still has once more, and hold it against the lake.

``lake.audit`` proves from the lake alone that each offset is there once. This asks the other
question: is what is there what Kafka delivered? It reads each partition from its first offset up to
the stored one, a bounded chunk at a time, and compares every message with what the lake has of its
offset (``lake.deep_compare``; ADR 038 says why nothing is hashed). Writers may be at work: the
tables are looked at as they were at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from ingest.contracts.model import Contract
from ingest.errors import BrokerError
from ingest.kafka import check_reachable
from ingest.settings import IngestSettings
from lake.dead_letters.history import replays_of
from lake.deep_compare import Comparer, Comparison
from lake.erasure.offsets import ErasedOffsets, Offsets
from lake.errors import MissingTableError
from lake.journal import Entry, Journal, accepted_gaps, incarnations
from lake.reread import OffsetExpiredError, Reread
from lake.tables import DEAD_LETTERS, Lake, read_rows
from lake.writer.broker_view import BrokerView
from lake.writer.messages import Messages
from lake.writer.polled import columns
from lake.writer.source import Source
from lake.writer.target import WRITER

logger = logging.getLogger(__name__)

EXPIRED_MOST: Final = 100
"""How often Kafka may let go of offsets while one partition is read."""

NOTHING: Final[Offsets] = np.zeros(0, dtype=np.int64)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PartitionDeep:
    """What was found for one source."""

    table: str
    source: Source
    first: int | None
    """The first offset that Kafka still has; None when it has none that could be compared."""
    stored: int
    """The last offset that the lake holds."""
    found: Comparison
    why_not: str | None = None
    """Why nothing could be compared."""


@dataclass(frozen=True, slots=True)
class DeepReport:
    """The verdict on what Kafka still has."""

    partitions: tuple[PartitionDeep, ...]
    versions: Mapping[str, int] = field(default_factory=dict)
    """The version of each table that was looked at."""

    @property
    def is_clean(self) -> bool:
        """True when nothing that could be compared differs, and nothing is missing."""
        return not (self.different or self.missing)

    @property
    def total(self) -> Comparison:
        """All partitions together."""
        whole = Comparison()
        for part in self.partitions:
            whole.add(part.found)
        return whole

    @property
    def different(self) -> int:
        """Offsets whose content differs."""
        return sum(part.found.different for part in self.partitions)

    @property
    def missing(self) -> int:
        """Messages in Kafka, at settled offsets, that are not in the lake."""
        return sum(part.found.missing for part in self.partitions)


@dataclass(frozen=True, slots=True)
class _Tables:
    """One bronze table and the dead letters, each at one version."""

    name: str
    bronze: DeltaTable
    dead: DeltaTable
    erased: Mapping[Source, Offsets]
    """What was erased with its tenant, from either table."""
    replayed: Mapping[Source, Mapping[int, str | None]]
    """The mending of each letter that became a row, by its offset."""

    def mendings(self, source: Source, first: int, last: int) -> dict[int, str | None]:
        theirs = self.replayed.get(source, {})
        return {offset: theirs[offset] for offset in theirs if first <= offset <= last}

    def position(self, source: Source) -> int | None:
        writer = self.bronze.metadata().configuration.get(WRITER, "")
        return self.bronze.transaction_version(source.app_id(writer, self.name))

    def read(self, source: Source, first: int, last: int) -> tuple[pa.Table, pa.Table]:
        where = _where(source, first, last)
        return _rows(self.bronze, where), _rows(self.dead, where)

    def count(self, source: Source, first: int, last: int) -> int:
        if last < first:
            return 0
        where = _where(source, first, last)
        parts = [
            read_rows(table, ["_offset"], where)["_offset"].to_numpy()
            for table in (self.bronze, self.dead)
        ]
        return len(np.unique(np.concatenate(parts)))


def deep_audit(
    ingest: IngestSettings,
    lake: Lake,
    contracts: Iterable[Contract],
    *,
    topic: str | None = None,
    on_progress: Progress = lambda done, total: None,  # noqa: ARG005
    reread: Callable[[IngestSettings], Reread] = Reread,
) -> DeepReport:
    """Compare what Kafka still has with the lake.

    Args:
        ingest: which broker.
        lake: where the tables are.
        contracts: by what messages are decoded; a table without one is told as not comparable.
        topic: only this one.
        on_progress: called with how many offsets are done and how many there are.
        reread: makes what reads from Kafka.

    Raises:
        MissingTableError: there is nothing to audit.
        BrokerError: Kafka does not answer.
    """
    check_reachable(ingest)
    by_name = {contract.name: contract for contract in contracts}
    view = BrokerView(ingest)
    jobs = list(_jobs(lake, by_name, view, topic))
    if not jobs:
        raise MissingTableError(
            "there is nothing to compare: nothing was written"
            + ("" if topic is None else f" from the topic {topic}"),
            hint="`lakeward write` brings events from Kafka into the lake.",
        )
    total = sum(job.size for job in jobs)
    done = 0
    reader = reread(ingest)
    comparers: dict[str, Comparer] = {}
    parts: list[PartitionDeep] = []
    try:
        for job in jobs:
            name = job.tables.name
            if name in by_name and name not in comparers:
                comparers[name] = Comparer(by_name[name], name)
            tell = _offset_by(done, total, on_progress)
            parts.append(job.run(comparers.get(name), reader, view, tell))
            done += job.size
    finally:
        reader.close()
        for comparer in comparers.values():
            comparer.close()
    versions = {job.tables.name: job.tables.bronze.version() for job in jobs}
    dead = {DEAD_LETTERS: jobs[0].tables.dead.version()}
    return DeepReport(tuple(parts), {**versions, **dead})


@dataclass(frozen=True, slots=True)
class _Job:
    """One source, and what of it can be compared."""

    tables: _Tables
    source: Source
    begins: int
    """Where reading of the source began; lower offsets are another incarnation's."""
    stored: int
    low: int | None
    """The first offset that Kafka has; None when nothing can be compared."""
    why_not: str | None
    gaps: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Offsets that are to be read."""
        return 0 if self.low is None else max(0, self.stored + 1 - max(self.low, self.begins))

    def run(
        self,
        comparer: Comparer | None,
        reader: Reread,
        view: BrokerView,
        on_progress: Callable[[int], None],
    ) -> PartitionDeep:
        if self.low is None or comparer is None:
            gone = Comparison(gone=self.tables.count(self.source, 0, self.stored))
            return self._part(None, gone)
        first = at = max(self.low, self.begins)
        found = Comparison(gone=self.tables.count(self.source, 0, min(first - 1, self.stored)))
        expired = 0
        while at <= self.stored:
            try:
                for chunk in reader.chunks(
                    (self.source.topic, self.source.partition), at, self.stored
                ):
                    messages = columns(self.source.topic, self.source.topic_id, chunk)
                    last = int(messages.offset[-1].as_py())
                    found.add(self._compare(comparer, messages, at, last))
                    at = last + 1
                    on_progress(at - first)
                found.gone += self.tables.count(self.source, at, self.stored)
                at = self.stored + 1
            except OffsetExpiredError:
                expired += 1
                if expired > EXPIRED_MOST:
                    raise BrokerError(
                        f"{self.source}: Kafka keeps letting go of offset {at:,}",
                        hint="Messages expire faster than they can be read.",
                    ) from None
                low = max(at + 1, _low(view, self.source))
                found.gone += self.tables.count(self.source, at, min(low - 1, self.stored))
                at = low
        on_progress(self.size)
        return self._part(first, found)

    def _compare(self, comparer: Comparer, messages: Messages, first: int, last: int) -> Comparison:
        offsets = messages.offset.to_numpy()
        in_gap = np.zeros(len(offsets), np.bool_)
        for begin, end in self.gaps:
            in_gap |= (offsets >= begin) & (offsets <= end)
        rows, dead = self.tables.read(self.source, first, last)
        there = np.concatenate([rows["_offset"].to_numpy(), dead["_offset"].to_numpy()])
        announced = self.tables.erased.get(self.source, NOTHING)
        erased = np.isin(offsets, announced) & ~np.isin(offsets, there) & ~in_gap
        mendings = self.tables.mendings(self.source, first, last)
        found = comparer.compare(
            self.source, messages.select(~in_gap & ~erased), rows, dead, mendings
        )
        found.accepted_gap = int(np.count_nonzero(in_gap))
        found.erased = int(np.count_nonzero(erased))
        return found

    def _part(self, first: int | None, found: Comparison) -> PartitionDeep:
        return PartitionDeep(self.tables.name, self.source, first, self.stored, found, self.why_not)


def _offset_by(done: int, total: int, on_progress: Progress) -> Callable[[int], None]:
    return lambda count: on_progress(done + count, total)


def _jobs(
    lake: Lake, contracts: Mapping[str, Contract], view: BrokerView, topic: str | None
) -> Iterator[_Job]:
    names = [name for name in lake.names("bronze") if name != DEAD_LETTERS]
    if not names:
        return
    # bronze first: whatever its position covers is then in the dead letters, too
    bronze = {name: lake.open("bronze", name) for name in names}
    dead = lake.open("bronze", DEAD_LETTERS)
    entries = Journal(lake, "").entries()
    current = set(incarnations(entries).values())
    ids: dict[str, str | None] = {}
    erased = ErasedOffsets(lake)
    for name, table in bronze.items():
        replayed: dict[Source, dict[int, str | None]] = {}
        for letter in replays_of(lake, name, table):
            replayed.setdefault(letter.source, {})[letter.offset] = letter.mending
        tables = _Tables(name, table, dead, _erased(erased, name), replayed)
        for source, begins in sorted(_begun(entries).items()):
            stored = tables.position(source)
            if stored is None or topic not in (None, source.topic):
                continue
            why_not = None
            if name not in contracts:
                why_not = f"no contract is called {name}"
            elif source not in current:
                why_not = "the topic was made again since"
            else:
                if source.topic not in ids:
                    ids[source.topic] = view.topic_id(source.topic)
                why_not = _why_not(source, ids[source.topic])
            yield _Job(
                tables,
                source,
                begins,
                stored,
                _low(view, source) if why_not is None else None,
                why_not,
                tuple(accepted_gaps(entries, source)),
            )


def _erased(announced: ErasedOffsets, name: str) -> dict[Source, Offsets]:
    found = announced.of(name)
    for source, theirs in announced.of(DEAD_LETTERS).items():
        found[source] = np.union1d(found.get(source, NOTHING), theirs)
    return found


def _rows(table: DeltaTable, where: str) -> pa.Table:
    schema = pa.schema(table.schema().to_arrow())  # a scan gives views, for which much is missing
    return read_rows(table, schema.names, where).select(schema.names).cast(schema)


def _begun(entries: Iterable[Entry]) -> dict[Source, int]:
    """Return the sources that the journal knows, with the offset where reading began."""
    found: dict[Source, int] = {}
    for entry in entries:
        if entry.kind != "gap_accepted":
            found.setdefault(entry.source, entry.first_offset or 0)
    return found


def _why_not(source: Source, present: str | None) -> str | None:
    if present is None:
        return "Kafka has no such topic any more"
    if present != source.broker_topic_id:
        return "the topic was made again since"
    return None


def _low(view: BrokerView, source: Source) -> int:
    key = source.topic, source.partition
    return view.offered([key])[key].low


def _where(source: Source, first: int, last: int) -> str:
    return (
        f"_topic = {_literal(source.topic)} and _topic_id = {_literal(source.topic_id)} "
        f"and _partition = {source.partition} and _offset >= {first} and _offset <= {last}"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
