"""Where the messages of one contract go: its bronze table, or the dead letters.

Two tables cannot be written in one commit, so their order carries the promise:

- Dead letters first, when a batch has any; then bronze, always, even when no row goes there. So
  bronze's position is the master: reading goes on after it, and a tail of nothing but poison
  advances too.
- After a crash between the two, dead letters are ahead of bronze. For the offsets in between, what
  the dead-letter table *holds* is the truth: those it holds are never written again, to neither
  table; all others are decoded anew. (Dropping everything up to its position would lose the good
  messages in between; a contract mended in the meantime may also send them elsewhere.)
- The fate of a message depends on the rules only (see ``lake.writer.rules``). Two owners of one
  partition with the same rules, one of them stale, therefore agree, and the transaction ids do the
  rest. When the rules in a table are not this writer's, it claims the partition in both tables
  before it reads what they hold: each commit carries the rules as a transaction id, so a stale
  owner with older rules can commit to neither table any more. Each claim is a number of its own,
  so that one who slept while the rules changed and changed back is not let in either.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lake.errors import CommitError
from lake.schema import decoded_dead_letter_schema, decoded_schema
from lake.tables import DEAD_LETTERS
from lake.writer.batch import Batch, Part
from lake.writer.commit import Mark, Outcome, Span, TransactionalTable, without
from lake.writer.decode import Decoder
from lake.writer.limit import DeadLetterLimit
from lake.writer.messages import Decoded, Messages
from lake.writer.patience import Patience
from lake.writer.source import Source
from lake.writer.taken import Offsets, Taken, counts_of, take

logger = logging.getLogger(__name__)

CLAIM_ATTEMPTS: Final = 5

CLAIM_BITS: Final = 32
"""Of a rules transaction id, the low bits tell one claim from another; the rules are the rest."""

NO_OFFSETS: Final[Offsets] = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of a batch."""

    topic: str
    size: int
    """Payload bytes."""
    landed: Mapping[Source, int]
    """Sources whose part is in the tables, with the last offset held."""
    fenced: frozenset[Source]
    """Sources that another writer has moved; their part of the batch was dropped."""
    messages: int = 0
    rows: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    """New dead letters by reason."""
    rescued_fields: int = 0


class Sink:
    """One contract's way into the lake. All sinks of a process share ``lock``."""

    def __init__(
        self,
        decoder: Decoder,
        rules: int,
        bronze: TransactionalTable,
        dead_letters: TransactionalTable,
        writer: str,
        lock: threading.RLock,
        limit: DeadLetterLimit | None = None,
        token: Callable[[], int] = lambda: random.SystemRandom().getrandbits(62),
        patience: Patience | None = None,
    ) -> None:
        self._decoder = decoder
        self._rules = rules
        self._bronze = bronze
        self._dead_letters = dead_letters
        self._writer = writer
        self._lock = lock
        self._limit = limit
        self._token = token
        self._patience = patience
        self._table = decoder.contract.name
        self._nothing = (
            decoded_schema(decoder.contract).empty_table(),
            decoded_dead_letter_schema().empty_table(),
        )
        self._claims: dict[str, int] = {}
        """The version of each rules transaction id under which this writer may commit."""
        self._ahead: dict[Source, Offsets] = {}
        """Offsets beyond bronze's position that the dead-letter table holds already."""
        self._dead_marks: dict[Source, tuple[int | None, int | None]] = {}
        """Position and token of each source in the dead-letter table, when last taken over or
        committed; never read later than ``_ahead``, or a stale writer's letters would be missed."""

    def held(self, source: Source) -> int | None:
        """Return the last offset of ``source`` that is settled, as last read; None: nothing."""
        with self._lock:
            return self._bronze.version_of(self._position_id(source))

    def look(self, sources: Iterable[Source]) -> dict[Source, int | None]:
        """Open the bronze table anew and return the positions, claiming nothing."""
        with self._lock:
            self._bronze.reopen()
            return {source: self.held(source) for source in sources}

    def take_over(self, sources: Iterable[Source]) -> dict[Source, int | None]:
        """Learn where each source stands, from the tables alone; the next offset is one more.

        Raises:
            CommitError: others kept moving the sources, or a table does not answer.
        """
        with self._lock:
            wanted = sorted(set(sources))
            self._bronze.reopen()
            self._dead_letters.reopen()
            for _ in range(CLAIM_ATTEMPTS):
                fenced = self._claim(self._dead_letters, wanted) | self._claim(self._bronze, wanted)
                if not fenced:
                    break
                logger.info("claim_contended", extra={"table": self._table})
                self._bronze.reopen()
                self._dead_letters.reopen()
            else:
                raise CommitError(
                    f"another writer keeps claiming {', '.join(map(str, wanted))}",
                    hint="Do two writers with different contracts or tenants run at once?",
                )
            positions = {source: self.held(source) for source in wanted}
            for source, position in positions.items():
                self._dead_marks[source] = self._read_dead_marks(source)
                self._ahead[source] = self._dead_offsets_beyond(source, position)
            return positions

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages, whoever they turn out to belong to; for use by one thread at a time."""
        decoded = self._decoder.decode(messages)
        if decoded.rows.num_rows + decoded.dead.num_rows != len(messages):
            raise AssertionError(f"decoding {self._table} lost or doubled messages")
        return decoded

    def write(self, batch: Batch) -> Flushed:
        """Commit a batch to both tables.

        Raises:
            DeadLetterLimitError: too many are dead letters; nothing of the batch was written.
            CommitError: a table cannot be written, and patience is over; what was written will be
                found again.
        """
        for piece in batch.pieces:
            piece.decoded()  # before the lock is taken, which others may wait for
        with self._lock:
            taken = take(batch, self._ahead, self._nothing)
            reasons: Counter[str] = Counter(taken.dead["reason"].to_pylist())
            if self._limit is not None:
                self._limit.check(taken.known_dead | taken.broken, reasons)
            return self._commit(batch, taken, reasons)

    def _commit(self, batch: Batch, taken: Taken, reasons: Counter[str]) -> Flushed:
        counted = taken.messages
        rows = counts_of(taken.rows)
        new_dead = counts_of(taken.dead)

        def record(part: Part) -> dict[str, Any]:
            number = part.source.partition
            return {
                "topic": part.source.topic,
                "topic_id": part.source.topic_id,
                "partition": number,
                "first": part.first,
                "last": part.last,
                "messages": counted[number],
                "rows": rows[number],
                "dead": counted[number] - rows[number],
            }

        fenced: frozenset[Source] = frozenset()
        parts = batch.parts
        bronze_rows = taken.rows
        dirty = [part for part in parts if new_dead[part.source.partition]]
        if dirty:
            spans = [self._dead_span(part, record(part)) for part in dirty]
            outcome = self._dead_letters.commit(spans, taken.dead, patience=self._patience)
            fenced = outcome.fenced
            for span in spans:
                if span.source in outcome.landed:
                    self._dead_marks[span.source] = (span.marks[0].after, span.marks[1].after)
        parts = tuple(part for part in parts if part.source not in fenced)
        if fenced:
            bronze_rows = without(bronze_rows, fenced)
        outcome = Outcome(frozenset(), frozenset(), None)
        if parts:
            outcome = self._bronze.commit(
                [self._bronze_span(part, record(part)) for part in parts],
                bronze_rows,
                patience=self._patience,
            )
        fenced |= outcome.fenced
        landed = {part.source: part.last for part in parts if part.source in outcome.landed}
        for source, last in landed.items():
            ahead = self._ahead.get(source, NO_OFFSETS)
            self._ahead[source] = ahead[ahead > last]
        numbers = [source.partition for source in landed]
        return Flushed(
            topic=batch.topic,
            size=batch.size,
            landed=landed,
            fenced=fenced,
            messages=sum(counted[n] for n in numbers),
            rows=sum(rows[n] for n in numbers),
            dead=Counter(without(taken.dead, fenced)["reason"].to_pylist()) if fenced else reasons,
            rescued_fields=taken.rescued_fields,
        )

    def _claim(self, table: TransactionalTable, sources: list[Source]) -> frozenset[Source]:
        """Put this writer's rules on each source; return those that another was quicker with."""
        name = self._table if table is self._bronze else DEAD_LETTERS
        spans = []
        for source in sources:
            app_id = self._rules_id(source, name)
            there = table.version_of(app_id)
            if there is None or there >> CLAIM_BITS != self._rules >> CLAIM_BITS:
                claim = self._rules >> CLAIM_BITS << CLAIM_BITS | self._token() % 2**CLAIM_BITS
                spans.append(Span(source, (Mark(app_id, there, claim),), {}))
                self._claims[app_id] = claim
            else:
                self._claims[app_id] = there
        if not spans:
            return frozenset()
        return table.commit(spans, _no_rows()).fenced

    def _bronze_span(self, part: Part, record: Mapping[str, Any]) -> Span:
        position = Mark(self._position_id(part.source), part.held, part.last)
        return Span(part.source, (position, self._rules_mark(part.source, self._table)), record)

    def _dead_span(self, part: Part, record: Mapping[str, Any]) -> Span:
        """The position never goes down, so it may stay; the token always moves, and is unique."""
        position, token = self._dead_marks[part.source]
        position_id, token_id = self._dead_ids(part.source)
        return Span(
            part.source,
            (
                Mark(position_id, position, max(part.last, -1 if position is None else position)),
                Mark(token_id, token, self._token()),
                self._rules_mark(part.source, DEAD_LETTERS),
            ),
            record,
        )

    def _dead_ids(self, source: Source) -> tuple[str, str]:
        position_id = source.app_id(self._writer, DEAD_LETTERS)
        return position_id, f"{position_id}#token"

    def _read_dead_marks(self, source: Source) -> tuple[int | None, int | None]:
        position_id, token_id = self._dead_ids(source)
        table = self._dead_letters
        return table.version_of(position_id), table.version_of(token_id)

    def _position_id(self, source: Source) -> str:
        return source.app_id(self._writer, self._table)

    def _rules_id(self, source: Source, table: str) -> str:
        return source.rules_id(self._writer, table)

    def _rules_mark(self, source: Source, table: str) -> Mark:
        app_id = self._rules_id(source, table)
        return Mark(app_id, self._claims[app_id], self._claims[app_id])

    def _dead_offsets_beyond(self, source: Source, position: int | None) -> Offsets:
        dead_position, _ = self._dead_marks[source]
        if dead_position is None or (position is not None and dead_position <= position):
            return NO_OFFSETS
        after = -1 if position is None else position
        found = self._dead_letters.read(
            ["_offset"],
            f"_topic = {_quoted(source.topic)} and _topic_id = {_quoted(source.topic_id)} "
            f"and _partition = {source.partition} and _offset > {after}",
        )
        offsets: Offsets = np.unique(found["_offset"].to_numpy())
        if len(offsets):
            logger.info(
                "dead_letters_ahead", extra={"source": str(source), "messages": len(offsets)}
            )
        return offsets


def _no_rows() -> pa.Table:
    return pa.table(
        {
            "_topic": pa.array([], pa.string()),
            "_topic_id": pa.array([], pa.string()),
            "_partition": pa.array([], pa.int32()),
        }
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
