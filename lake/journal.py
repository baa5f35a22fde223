"""What happened to the topics themselves: first seen, made again, gaps that a person accepted.

One Delta table, ``ops/journal``, with a few rows a partition. The writer asks it which incarnation
of a topic a stored offset belongs to, and the audit asks it which offsets nobody could have read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lake.tables import Lake, read_rows
from lake.writer.source import Source
from lake.writer.target import Target

logger = logging.getLogger(__name__)

JOURNAL: Final = "journal"

Kind = Literal["topic_first_seen", "topic_recreated", "gap_accepted"]

SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("first_offset", pa.int64()),
        pa.field("last_offset", pa.int64()),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("detail", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    ``topic_first_seen`` and ``topic_recreated`` begin a source; ``first_offset`` is where reading
    begins. ``gap_accepted`` names offsets, both ends inclusive, that Kafka had no longer.
    """

    kind: Kind
    source: Source
    first_offset: int | None
    last_offset: int | None
    recorded_at: datetime
    detail: str = ""


class Journal:
    """The journal of one lake."""

    def __init__(
        self,
        lake: Lake,
        writer: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._target = Target(lake, "ops", JOURNAL, SCHEMA, writer)
        self._now = now

    def entries(self) -> list[Entry]:
        """Return every entry, oldest first; none when there is no journal yet."""
        lake = self._target.lake
        if not lake.exists("ops", JOURNAL):
            return []
        table = DeltaTable(self._target.uri, storage_options=lake.storage_options)
        rows = read_rows(table).to_pylist()
        rows.sort(key=lambda row: row["recorded_at"])
        return [
            Entry(
                kind=row["kind"],
                source=Source(row["topic"], row["topic_id"], row["partition"]),
                first_offset=row["first_offset"],
                last_offset=row["last_offset"],
                recorded_at=row["recorded_at"],
                detail=row["detail"],
            )
            for row in rows
        ]

    def write(self, entries: Iterable[Entry]) -> None:
        """Append entries in one commit.

        Two writers may both note that they saw a topic first; a second such line changes nothing.
        """
        noted = list(entries)
        if not noted:
            return
        # the order counts, so a clock that was turned back must not change it
        known = [entry.recorded_at for entry in self.entries()]
        latest = max(known, default=datetime.min.replace(tzinfo=UTC))
        for place, entry in enumerate(noted):
            latest = max(entry.recorded_at, latest + timedelta(microseconds=1))
            noted[place] = replace(entry, recorded_at=latest)
        rows = [
            {
                "kind": entry.kind,
                "topic": entry.source.topic,
                "topic_id": entry.source.topic_id,
                "partition": entry.source.partition,
                "first_offset": entry.first_offset,
                "last_offset": entry.last_offset,
                "recorded_at": entry.recorded_at,
                "detail": entry.detail,
            }
            for entry in noted
        ]
        write_deltalake(
            self._target.open(), pa.Table.from_pylist(rows, schema=SCHEMA), mode="append"
        )
        for entry in noted:
            logger.info("journal", extra={"kind": entry.kind, "source": str(entry.source)})

    def entry(
        self, kind: Kind, source: Source, first: int | None, last: int | None, detail: str = ""
    ) -> Entry:
        """Return an entry stamped with the present time."""
        return Entry(kind, source, first, last, self._now(), detail)


def incarnations(entries: Iterable[Entry]) -> dict[tuple[str, int], Source]:
    """Return, for each topic partition, the source that the writer knew last."""
    known: dict[tuple[str, int], Source] = {}
    for entry in entries:
        if entry.kind != "gap_accepted":
            known[entry.source.topic, entry.source.partition] = entry.source
    return known


def accepted_gaps(entries: Iterable[Entry], source: Source) -> list[tuple[int, int]]:
    """Return the accepted gaps of one source, as offsets with both ends inclusive."""
    return [
        (entry.first_offset, entry.last_offset)
        for entry in entries
        if entry.kind == "gap_accepted"
        and entry.source == source
        and entry.first_offset is not None
        and entry.last_offset is not None
    ]
