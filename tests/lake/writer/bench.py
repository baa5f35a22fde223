"""A writer without a broker: batches made by hand, real tables on disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from confluent_kafka import Message

from ingest.contracts.model import Contract, Field
from lake.audit import AuditReport, audit
from lake.journal import Journal
from lake.schema import PARTITION_BY, bronze_schema, dead_letter_schema
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.batch import Batch, Part, Piece
from lake.writer.commit import TransactionalTable
from lake.writer.decode import Decoder
from lake.writer.limit import DeadLetterLimit
from lake.writer.polled import columns
from lake.writer.rules import rules_number
from lake.writer.sink import Flushed, Sink
from lake.writer.source import Source
from lake.writer.target import Target

TOPIC = "visits"
P0 = Source(TOPIC, "id-1", 0)
P1 = Source(TOPIC, "id-1", 1)
MADE_AT = (1, 1_767_225_600_000)

CONTRACT = Contract(
    name="visits",
    version="1.0.0",
    topic=TOPIC,
    owner="tests",
    description="visits",
    fields=(
        Field("event_id", "event_id", "string", required=True),
        Field("tenant_id", "tenant_id", "string", required=True),
        Field("occurred_at", "at", "timestamp", required=True),
        Field("amount", "amount", "decimal", precision=10, scale=2),
    ),
    key=("tenant_id", "event_id"),
    event_time="occurred_at",
    message_key=("tenant_id",),
)
"""Version 1: every visit needs an id, a tenant and a time."""

STRICTER = replace(
    CONTRACT,
    version="2.0.0",
    fields=(*CONTRACT.fields, Field("channel", "channel", "string", required=True)),
)
"""A contract under which a visit without a channel is a dead letter."""

WIDER = replace(
    CONTRACT, version="1.1.0", fields=(*CONTRACT.fields, Field("channel", "channel", "string"))
)
"""A contract with one more column that may be null."""


def visit(source: Source, offset: int, **more: object) -> Message:
    """A good message."""
    payload = {
        "event_id": f"{source.partition}-{offset}",
        "tenant_id": "acme",
        "at": "2026-01-01T00:00:00Z",
        "amount": "1.50",
        **more,
    }
    return raw(source, offset, json.dumps(payload).encode())


def raw(source: Source, offset: int, value: bytes | None) -> Message:
    """Any message."""
    return Message(
        topic=source.topic,
        partition=source.partition,
        offset=offset,
        key=b"k",
        value=value,
        timestamp=MADE_AT,
    )


def poison(source: Source, offset: int) -> Message:
    """A message that is not JSON."""
    return raw(source, offset, b"{broken")


@dataclass(frozen=True)
class Polled:
    """A batch that the sink it is given to has yet to decode."""

    topic_id: str
    parts: tuple[Part, ...]
    messages: Sequence[Message]

    def decoded_by(self, sink: Sink) -> Batch:
        """The batch as the writer's loop hands it over."""
        messages = columns(TOPIC, self.topic_id, self.messages)
        piece = Piece.of(messages, lambda them: partial(sink.decode, them))
        return Batch(TOPIC, self.topic_id, self.parts, (piece,), size=0)


class BenchSink(Sink):
    """A sink that also does the loop's part."""

    def write(self, batch: Batch | Polled) -> Flushed:
        """Decode if need be, and commit."""
        return super().write(batch.decoded_by(self) if isinstance(batch, Polled) else batch)


def batch(*parts: tuple[Source, int | None, Sequence[Message]], last: int | None = None) -> Polled:
    """A batch: for each source what the table must hold before, and the messages.

    ``last`` says that offsets up to it were passed without a message.
    """
    return Polled(
        topic_id=parts[0][0].topic_id,
        parts=tuple(
            Part(
                source,
                held,
                0 if held is None else held + 1,
                max((m.offset() or 0 for m in theirs), default=-1) if last is None else last,
            )
            for source, held, theirs in parts
        ),
        messages=[message for _, _, theirs in parts for message in theirs],
    )


@dataclass
class Bench:
    """One lake, and as many writers on it as a test wants."""

    lake: Lake
    pauses: list[float] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path) -> Bench:
        """A bench whose lake is in ``folder``."""
        return cls(Lake(str(folder / "lake")))

    def table(self, name: str, contract: Contract = CONTRACT) -> TransactionalTable:
        """A handle as a writer process has it."""
        schema = dead_letter_schema() if name == DEAD_LETTERS else bronze_schema(contract)
        target = Target(self.lake, "bronze", name, schema, "lakeward", PARTITION_BY)
        return TransactionalTable(target, "lakeward", sleep=self.pauses.append)

    def sink(
        self, contract: Contract = CONTRACT, limit: DeadLetterLimit | None = None
    ) -> BenchSink:
        """What one writer process has for the contract."""
        return BenchSink(
            Decoder(contract, None),
            rules_number(contract, None),
            self.table(contract.name, contract),
            self.table(DEAD_LETTERS),
            "lakeward",
            threading.RLock(),
            limit,
        )

    def take_over(self, sink: Sink, *sources: Source) -> dict[Source, int | None]:
        """Do what a writer does on assignment."""
        journal = Journal(self.lake, "lakeward")
        seen = {entry.source for entry in journal.entries()}
        journal.write(
            journal.entry("topic_first_seen", s, 0, None) for s in sources if s not in seen
        )
        return sink.take_over(sources)

    def offsets(self, name: str = "visits") -> list[tuple[int, int]]:
        """Partition and offset of every row of a bronze table, sorted."""
        rows = self.lake.open("bronze", name).to_pyarrow_table(columns=["_partition", "_offset"])
        return sorted(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def dead_offsets(self) -> list[tuple[int, int]]:
        """Partition and offset of every dead letter, sorted."""
        return self.offsets(DEAD_LETTERS)

    def audit(self) -> AuditReport:
        """The verdict."""
        return audit(self.lake)


def landed(flushed: Flushed) -> dict[Source, int]:
    """What a flush brought into the tables."""
    return dict(flushed.landed)
