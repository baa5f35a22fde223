"""Exactly once, for replays: how mended letters become rows, once, with their own coordinates.

The argument, whole:

1. A replayed letter is a row of its contract's bronze table with the coordinates that its message
   had in Kafka. It is not sent through Kafka again, which would give it a second identity. Rows,
   and the record of which letters they came from, are one Delta commit.
2. Whether a letter is a row already is read from the table itself, at one version: is there a row
   at its coordinates? The commit is then made with that very handle, and is *exclusive*: it may
   only become the next version (delta-rs is told not to rebase it). So nobody has committed
   anything between the check and the commit, neither another replay nor this one's own last try,
   whose answer was lost.
3. After any failure nobody knows whether the commit landed. The table is opened anew and asked
   again, as in 2. What is there landed.
4. That a letter was replayed is written to its history *after* that, from the log of the bronze
   table (``lake.dead_letters.history``). A process that dies in between leaves this to whoever
   comes next.
5. A letter that is no longer in ``bronze.dead_letters`` (its tenant was erased meanwhile, or it was
   purged) does not come back. One beyond the position of its source is left alone: the writer
   stopped between its two commits and is about to take it up.

And for who reads the table by version: ``_committed_at`` must grow with it (ADR 040 rests on that,
and which of two events with one key came first). The clock is read before the table is opened, and
the stamp is later than any in the table's log; being exclusive, no commit with a later stamp can
have come before it. For those that come after it, each rules id of the sources that fill the table
is moved, to the version it has: a writer whose commit is under way conflicts, opens the table anew
and stamps its rows again. A source that the journal did not name when the clock had been read will
stamp its first rows later than that.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ingest.contracts.model import Contract
from lake.dead_letters.record import REPLAY, ReplayRecord, spans_of
from lake.duck import quote_text
from lake.errors import CommitError, in_one_line
from lake.journal import Journal
from lake.schema import PARTITION_BY, bronze_schema
from lake.tables import DEAD_LETTERS, Lake, read_rows
from lake.writer.commit import FAILURES, METADATA_KEY, ZSTD, conform, newest_commit_time
from lake.writer.source import Source
from lake.writer.taken import Mask, Offsets
from lake.writer.target import WRITER, Target

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 120.0
"""How long a commit is tried while others keep committing."""

LONGEST_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of some rows."""

    landed: Mapping[Source, Offsets]
    """Those that this commit brought."""
    were_there: Mapping[Source, Offsets]
    """Those that were in the table already: of another replay, or of this one before a crash."""
    unsettled: Mapping[Source, Offsets]
    """Those beyond the position of their source, which were left alone."""
    gone: Mapping[Source, Offsets]
    """Those whose letter has been erased or purged since it was read."""


class Landing:
    """Brings replayed rows into one contract's bronze table; for use by one thread at a time."""

    def __init__(
        self,
        lake: Lake,
        contract: Contract,
        run_id: str,
        mending: str | None,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Say where to, and what the record of each commit is to say.

        Args:
            lake: where the table is.
            contract: of the table.
            run_id: names the run in the record.
            mending: the steps that mended the letters, as JSON.
            now: stamps the commits.
            sleep: waits between tries.
            clock: measures patience, in seconds.
            jitter: from 0 to 1, so that two replays do not try in step.
        """
        configuration = lake.open("bronze", DEAD_LETTERS).metadata().configuration
        self._writer = configuration.get(WRITER, "")
        self._target = Target(
            lake, "bronze", contract.name, bronze_schema(contract), self._writer, PARTITION_BY
        )
        self._lake = lake
        self._journal = Journal(lake, self._writer)
        self._contract = contract
        self._run_id = run_id
        self._mending = mending
        self._now = now
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter

    @property
    def name(self) -> str:
        """The table's."""
        return self._contract.name

    def open(self) -> DeltaTable:
        """Return a new handle on the table's head."""
        return self._target.open()

    def land(self, rows: pa.Table) -> Landed:
        """Append those of ``rows`` that are not in the table yet.

        ``rows`` have the columns of ``lake.schema.decoded_schema``.

        Raises:
            CommitError: others kept committing, or the table cannot be written; what landed will
                be found by the next run.
        """
        wanted = offsets_by_source(rows)
        last_look: int | None = None
        has_looked = False
        there: Mapping[Source, Offsets] = {}
        failure: Exception | None = None
        for _ in self._tries():
            try:
                stamp = self._now()
                sources = self._sources_of({source.topic for source in wanted})
                table = self._target.open()
                replayed = table.transaction_version(REPLAY)
                if not has_looked or replayed != last_look:  # only replays bring such rows
                    there = found_in(table, wanted)
                    has_looked, last_look = True, replayed
                ahead = self._ahead(table, wanted)
                gone = minus(wanted, found_in(self._lake.open("bronze", DEAD_LETTERS), wanted))
                left = minus(wanted, there, ahead, gone)
                if any(map(len, left.values())):
                    self._commit(table, among(rows, left), left, stamp, replayed, sources)
            except FAILURES as error:
                failure = error
                logger.info(
                    "replay_tried_in_vain",
                    extra={"table": self._target.uri, "why": in_one_line(error)},
                )
                continue
            return Landed(left, there, ahead, gone)
        assert failure is not None
        raise CommitError(
            f"cannot bring replayed letters into {self._target.uri}: {in_one_line(failure)}",
            hint="Others kept committing to it, or the lake cannot be written. What was replayed "
            "before this is done; run the command again for the rest.",
        ) from failure

    def _tries(self) -> Iterator[None]:
        began = self._clock()
        pause = 0.01
        yield
        while self._clock() - began < PATIENCE_SECONDS:
            self._sleep(pause * (0.5 + self._jitter()))
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            yield

    def _sources_of(self, topics: set[str]) -> set[Source]:
        """Return the sources that may fill the table: those of its topic, now and formerly."""
        named = {*topics, self._contract.topic}
        return {e.source for e in self._journal.entries() if e.source.topic in named}

    def _ahead(self, table: DeltaTable, wanted: Mapping[Source, Offsets]) -> dict[Source, Offsets]:
        found = {}
        for source, offsets in wanted.items():
            position = table.transaction_version(source.app_id(self._writer, self.name))
            found[source] = offsets[offsets > (-1 if position is None else position)]
        return found

    def _commit(
        self,
        table: DeltaTable,
        rows: pa.Table,
        letters: Mapping[Source, Offsets],
        stamp: datetime,
        previous: int | None,
        sources: set[Source],
    ) -> None:
        committed_at = max(stamp, newest_commit_time(table) + timedelta(microseconds=1))
        version = table.version() + 1
        record = ReplayRecord(
            version=version,
            previous=previous,
            run_id=self._run_id,
            committed_at=committed_at,
            contract_version=self._contract.version,
            mending=self._mending,
            letters={s: spans_of(o.tolist()) for s, o in letters.items() if len(o)},
        )
        told = {
            "writer": self._writer,
            "committed_at": committed_at.isoformat(),
            **record.as_members(),
        }
        write_deltalake(
            table,
            conform(rows, pa.schema(table.schema().to_arrow()), committed_at),
            mode="append",
            writer_properties=ZSTD,
            commit_properties=CommitProperties(
                custom_metadata={METADATA_KEY: json.dumps(told)},
                max_commit_retries=0,
                app_transactions=[
                    Transaction(REPLAY, version),
                    *self._rules(table, sources | letters.keys()),
                ],
            ),
        )

    def _rules(self, table: DeltaTable, sources: set[Source]) -> list[Transaction]:
        found = []
        for source in sorted(sources):
            app_id = source.rules_id(self._writer, self.name)
            claim = table.transaction_version(app_id)
            if claim is not None:
                found.append(Transaction(app_id, claim))
        return found


def offsets_by_source(rows: pa.Table) -> dict[Source, Offsets]:
    """Return the offsets of rows or letters, sorted, by the source they came from."""
    named = rows.group_by(["_topic", "_topic_id", "_partition"]).aggregate([("_offset", "list")])
    return {
        Source(one["_topic"], one["_topic_id"], one["_partition"]): np.unique(
            np.array(one["_offset_list"], np.int64)
        )
        for one in named.to_pylist()
    }


def found_in(table: DeltaTable, wanted: Mapping[Source, Offsets]) -> dict[Source, Offsets]:
    """Return those of ``wanted`` at which a table has a row, at the version it is at."""
    found = {}
    for source, offsets in wanted.items():
        rows = read_rows(
            table,
            ["_offset"],
            f"_topic = {quote_text(source.topic)} and _topic_id = {quote_text(source.topic_id)} "
            f"and _partition = {source.partition} and _offset >= {offsets[0]} "
            f"and _offset <= {offsets[-1]}",
        )
        found[source] = np.intersect1d(offsets, rows["_offset"].to_numpy())
    return found


def among(rows: pa.Table, wanted: Mapping[Source, Offsets]) -> pa.Table:
    """Return the rows or letters at these coordinates."""
    return rows.filter(pa.array(is_among(rows, wanted)))


def is_among(rows: pa.Table, wanted: Mapping[Source, Offsets]) -> Mask:
    """Return for each row or letter whether it is at one of these coordinates."""
    found = np.zeros(rows.num_rows, np.bool_)
    offsets = rows["_offset"].to_numpy()
    for source, theirs in wanted.items():
        of_source = pc.and_(
            pc.and_(
                pc.equal(rows["_topic"], source.topic), pc.equal(rows["_topic_id"], source.topic_id)
            ),
            pc.equal(rows["_partition"], source.partition),
        )
        found |= of_source.to_numpy() & np.isin(offsets, theirs)
    return found


def minus(
    wanted: Mapping[Source, Offsets], *others: Mapping[Source, Offsets]
) -> dict[Source, Offsets]:
    """Return ``wanted`` without the offsets that one of ``others`` has."""
    left = dict(wanted)
    for other in others:
        for source, offsets in other.items():
            if source in left:
                left[source] = np.setdiff1d(left[source], offsets)
    return left
