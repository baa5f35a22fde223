"""Exactly once: how rows and the offsets they came from reach a Delta table together.

The argument, whole:

1. A table keeps, for each source (a partition of one incarnation of a topic), a Delta transaction
   id whose version is the last offset it holds, inclusive. Offset 0 is a real offset; no version
   at all means that nothing is held yet.
2. Rows and the new versions are one Delta commit, so either both are there or neither.
3. Which versions the table has is read from one ``DeltaTable`` object, and the commit is made with
   that very object. delta-rs refuses a commit when a transaction id in it was moved by a commit
   that came after the object's snapshot; so what was checked still holds when the commit lands.
   (A fresh handle would load the head, and the same version again is accepted: that is how a
   stale writer doubles data.) Nothing else may move the object between check and commit: one lock
   covers both.
4. When a commit fails in any way its outcome is unknown: the answer may have been lost after the
   commit landed. Then the table is opened anew and asked, a source at a time. All its marks are
   where this commit would have put them: it landed. All are where they were expected before: it
   did not, and may be tried again. Anything else: another writer has the source, this one is
   *fenced* and must forget what it buffered for it. A late landing of the first try is no danger:
   the second try then conflicts with it, and the question is asked again.
5. A commit for several sources lands as a whole; fenced ones are taken out and the rest is tried
   again. Tries are bounded, or last as long as the writer's patience; either way the marks stay
   the same, so that a try that landed is known for one. Giving up loses nothing, since Kafka still
   has the messages.

A mark is one transaction id with the version expected before and the one wanted after. Every span
has at least one mark that moves, or a landed commit could not be told from a failed one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError

from lake.errors import CommitError, LakeError, LakePathError, in_one_line
from lake.tables import read_rows
from lake.writer.patience import LONGEST_PAUSE_SECONDS, Patience
from lake.writer.source import Source
from lake.writer.watch import WriterWatch

logger = logging.getLogger(__name__)

METADATA_KEY: Final = "lakeward"
"""The key of the commit info under which the writer records what a commit covers."""

BACKOFF_SECONDS: Final = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each try; their number bounds the tries."""

CHECKPOINT_EVERY: Final = 20
"""A handle gathers what each commit since the last checkpoint added, and goes through all of it at
the next commit. So it is renewed when there is a new checkpoint; see ``LOG_PROPERTIES`` in
``lake.writer.target``."""

FAILURES: Final = (DeltaError, OSError, ValueError, RuntimeError, LakePathError)
"""What is raised when a commit fails, its answer is lost, or the table cannot be opened."""

ZSTD: Final = WriterProperties(compression="ZSTD", compression_level=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """One transaction id: the version it must have before a commit and will have after it."""

    app_id: str
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class Span:
    """One source's part of a commit."""

    source: Source
    marks: tuple[Mark, ...]
    record: Mapping[str, Any]
    """What the commit info says about it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each source of a commit."""

    landed: frozenset[Source]
    fenced: frozenset[Source]
    version: int | None
    """The table's version that holds it; None when nothing landed or another commit brought it."""


class Opener(Protocol):
    """Gives a new handle on a table's head."""

    @property
    def uri(self) -> str:
        """The address of the table."""
        ...

    def open(self) -> DeltaTable:
        """Return the handle."""
        ...


class TransactionalTable:
    """One Delta table and the one handle on it through which this process writes.

    Not for use by several threads at once; ``lake.writer.sink`` holds the lock.
    """

    def __init__(
        self,
        opener: Opener,
        writer: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        watch: WriterWatch | None = None,
    ) -> None:
        self._opener = opener
        self._writer = writer
        self._now = now
        self._sleep = sleep
        self._watch = watch
        self._name = opener.uri.rpartition("/")[2]
        self._table = opener.open()
        self._opened_at = self._table.version()
        self._versions: dict[str, int | None] = {}
        self._last_committed_at = newest_commit_time(self._table)
        self.conflicts = 0

    @property
    def uri(self) -> str:
        """The address of the table."""
        return self._opener.uri

    @property
    def version(self) -> int:
        """The table's version as this handle knows it."""
        return self._table.version()

    def reopen(self) -> None:
        """Forget the handle and what was read through it; open the head."""
        table, known = self._opener.open(), self._table.version()
        if table.version() != known:
            self._last_committed_at = max(self._last_committed_at, newest_commit_time(table))
        self._table = table
        self._opened_at = table.version()
        self._versions = {}

    def version_of(self, app_id: str) -> int | None:
        """Return the version of a transaction id as the handle's snapshot has it."""
        if app_id not in self._versions:
            self._versions[app_id] = self._table.transaction_version(app_id)
        return self._versions[app_id]

    def read(self, columns: Sequence[str], predicate: str) -> pa.Table:
        """Return the rows for which ``predicate`` (DataFusion SQL) holds, as the snapshot has."""
        return read_rows(self._table, columns, predicate)

    def commit(
        self, spans: Sequence[Span], rows: pa.Table, *, patience: Patience | None = None
    ) -> Outcome:
        """Append ``rows`` and move every span's marks, or find out who did.

        ``rows`` needs ``_topic``, ``_topic_id`` and ``_partition``, so that the rows of a fenced
        source can be left out; ``_committed_at`` and ``_ingest_date`` are filled in here.

        With ``patience`` it goes on trying until that is over; without, tries are bounded.

        Raises:
            CommitError: all tries failed; nothing was written for the spans that had not landed.
        """
        left = list(spans)
        landed: set[Source] = set()
        fenced: set[Source] = set()
        failure: Exception | None = None
        tries = 0
        began = time.monotonic()
        for tries in self._tries(patience):
            try:
                if failure is not None or self._has_new_checkpoint():
                    self.reopen()
                states = [(span, self._state(span)) for span in left]
            except FAILURES as error:
                failure = error
                logger.warning(
                    "table_not_readable", extra={"table": self.uri, "why": in_one_line(error)}
                )
                if self._watch is not None:
                    self._watch.unreadable(in_one_line(error))
                continue
            done = {span.source for span, state in states if state == "landed"}
            lost = {span.source for span, state in states if state == "fenced"}
            landed |= done
            fenced |= lost
            left = [span for span, state in states if state == "open"]
            if lost:
                logger.warning(
                    "fenced", extra={"table": self.uri, "sources": [str(s) for s in sorted(lost)]}
                )
            rows = without(rows, done | lost)
            if not left:
                if self._watch is not None:
                    self._watch.settled()
                return Outcome(frozenset(landed), frozenset(fenced), None)
            try:
                self._write(left, rows)
            except FAILURES as error:
                failure = error
                self.conflicts += 1
                logger.warning(
                    "commit_outcome_unknown",
                    extra={"table": self.uri, "why": in_one_line(error)},
                )
                if self._watch is not None:
                    self._watch.conflict(self._name, in_one_line(error))
                continue
            if self._watch is not None:
                self._watch.committed(self._name, time.monotonic() - began, self._table)
            landed |= {span.source for span in left}
            if tries > len(BACKOFF_SECONDS):
                logger.warning("lake_back", extra={"table": self.uri, "tries": tries})
            return Outcome(frozenset(landed), frozenset(fenced), self._table.version())
        assert failure is not None
        why = in_one_line(failure)
        raise CommitError(
            f"cannot commit to {self.uri} after {tries} tries: {why}",
            hint="Nothing is lost: the messages are still in Kafka, and the next run takes them up "
            "where the table ends. Is the lake reachable, and is there space left?",
        ) from failure

    def _tries(self, patience: Patience | None) -> Iterator[int]:
        """Yield the number of each try, after the pause before it."""
        tries = 0
        for pause in BACKOFF_SECONDS:
            if pause:
                self._sleep(pause)
            tries += 1
            yield tries
        while patience is not None and not patience.is_over:
            logger.warning("lake_away", extra={"table": self.uri, "tries": tries})
            patience.pause(LONGEST_PAUSE_SECONDS)
            tries += 1
            yield tries

    def _has_new_checkpoint(self) -> bool:
        """Whether one was made since the handle was opened: with the last version of each score."""
        before, now = self._opened_at + 1, self._table.version() + 1
        return now // CHECKPOINT_EVERY > before // CHECKPOINT_EVERY

    def _state(self, span: Span) -> Literal["landed", "open", "fenced"]:
        versions = [self.version_of(mark.app_id) for mark in span.marks]
        if all(v == mark.after for v, mark in zip(versions, span.marks, strict=True)):
            return "landed"
        if all(v == mark.before for v, mark in zip(versions, span.marks, strict=True)):
            return "open"
        return "fenced"

    def _write(self, spans: Sequence[Span], rows: pa.Table) -> None:
        committed_at = max(
            self._now().astimezone(UTC), self._last_committed_at + timedelta(microseconds=1)
        )
        marks = [mark for span in spans for mark in span.marks]
        record = {
            "writer": self._writer,
            "committed_at": committed_at.isoformat(),
            "partitions": [dict(span.record) for span in spans if span.record],
        }
        before = self._table.version()
        snapshot, self._versions = self._versions, {}  # unknown until the commit has answered
        self._last_committed_at = committed_at
        write_deltalake(
            self._table,
            conform(rows, pa.schema(self._table.schema().to_arrow()), committed_at),
            mode="append",
            writer_properties=ZSTD,
            commit_properties=CommitProperties(
                custom_metadata={METADATA_KEY: json.dumps(record)},
                app_transactions=[Transaction(mark.app_id, mark.after) for mark in marks],
            ),
        )
        if self._table.version() == before + 1:
            # nobody committed in between, so what was read before still holds
            self._versions = snapshot | {mark.app_id: mark.after for mark in marks}


def without(rows: pa.Table, sources: set[Source] | frozenset[Source]) -> pa.Table:
    """Return the rows that came from none of ``sources``."""
    for source in sources:
        theirs = pc.and_kleene(
            pc.and_kleene(
                pc.equal(rows["_topic"], source.topic), pc.equal(rows["_topic_id"], source.topic_id)
            ),
            pc.equal(rows["_partition"], source.partition),
        )
        rows = rows.filter(pc.invert(theirs))
    return rows


def conform(rows: pa.Table, schema: pa.Schema, committed_at: datetime) -> pa.Table:
    """Return ``rows`` with the table's columns in its order, stamped with the time of the commit.

    A column that the table has and this writer's contract does not (a newer writer added it) is
    null.

    Raises:
        LakeError: ``rows`` has a column that the table lacks.
    """
    count = rows.num_rows
    stamped = {"_committed_at": committed_at, "_ingest_date": committed_at.date()}
    strange = set(rows.column_names) - set(schema.names)
    if strange:
        raise LakeError(f"columns that the table does not have: {', '.join(sorted(strange))}")
    columns = []
    for field in schema:
        if field.name in stamped:
            scalar = pa.scalar(stamped[field.name], field.type)
            columns.append(pa.repeat(scalar, count))
        elif field.name in rows.column_names:
            column = rows[field.name]
            columns.append(column if column.type == field.type else column.cast(field.type))
        else:
            columns.append(pa.nulls(count, field.type))
    return pa.table(columns, schema=schema)


def newest_commit_time(table: DeltaTable) -> datetime:
    """Return when the newest of the last commits was made, as the writers recorded it.

    Raises:
        LakePathError: the log cannot be read.
    """
    newest = datetime.min.replace(tzinfo=UTC)
    try:
        commits = table.history(20)
    except (DeltaError, OSError) as error:
        raise LakePathError(
            f"cannot read the log of the table at {table.table_uri}: {in_one_line(error)}",
            hint="Is the lake reachable?",
        ) from error
    for info in commits:
        record = info.get(METADATA_KEY)
        if record is not None:
            told = json.loads(record).get("committed_at")
            if told is not None:
                newest = max(newest, datetime.fromisoformat(told))
    return newest
