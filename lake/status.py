"""How things stand: each partition in the lake and in Kafka, each table, and what is wrong.

From the tables and from Kafka alone; no writer needs to run, and either of the two may be away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from ingest.contracts.model import Contract
from ingest.settings import IngestSettings
from lake.journal import Entry
from lake.reread import oldest_waiting
from lake.settings import LakeSettings
from lake.status_of_kafka import KafkaSide, TopicEnds, look_at_kafka
from lake.status_of_tables import LakeSide, TableStatus, look_at_tables
from lake.status_of_tenants import TenantSide, look_at_tenants
from lake.tables import Lake
from lake.writer.source import Source

GAP_HINT = "`lakeward write --accept-gap` writes this down in ops.journal and goes on."


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition of one contract's topic."""

    contract: str
    source: Source
    stored: int | None
    """The last offset in the lake; None: nothing yet, or not known."""
    end: int | None
    """The offset after the last one in Kafka; None: not known."""
    lag: int | None
    """Offsets that are in Kafka and not in the lake; None: not known."""
    oldest_waiting: datetime | None
    """Kafka's timestamp of the first message that is not in the lake; None: there is none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person has to mend."""

    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at once."""

    at: datetime
    partitions: tuple[PartitionStatus, ...]
    tables: tuple[TableStatus, ...]
    gaps: tuple[Entry, ...]
    writers: int | None
    """Writers at work; None when nobody can tell."""
    is_counted: bool
    """False when ``writers`` is only 0 or "at least 1"."""
    not_begun: tuple[str, ...]
    """Contracts without a table or without a topic, which is no problem."""
    tenants: Mapping[str, int]
    """How many tenants have each status; empty where none was ever registered."""
    problems: tuple[Problem, ...]

    @property
    def lag(self) -> int | None:
        """Offsets that wait in all partitions; None when that of one is not known, or which."""
        lags = [part.lag for part in self.partitions]
        if not lags and self.writers is None:
            return None  # nobody said whether Kafka has partitions that were never read
        return None if None in lags else sum(lag for lag in lags if lag is not None)


def status(
    ingest: IngestSettings,
    settings: LakeSettings,
    contracts: Iterable[Contract],
    now: datetime,
) -> Status:
    """Look at the tables and at Kafka, and judge; what is away is a problem, not an error.

    Args:
        ingest: which broker.
        settings: which lake, and the writer's name.
        contracts: what to look at.
        now: for what is called lately; UTC.
    """
    chosen = list(contracts)
    lake = look_at_tables(Lake(settings.root), chosen, now)
    kafka = look_at_kafka(ingest, settings, chosen)
    tenants = look_at_tenants(ingest)
    parts = [
        part
        for contract in chosen
        if contract.name not in lake.unreadable
        for part in _partitions(contract, lake, kafka)
    ]
    waiting = {
        (part.source.topic, part.source.partition): _next(part.stored, part.source, lake, kafka)
        for part in parts
        if part.lag and "journal" not in lake.unreadable
    }
    oldest = oldest_waiting(ingest, waiting) if waiting else {}
    parts = [_with_oldest(part, oldest) for part in parts]
    begun = {part.contract for part in parts if part.contract in lake.tables}
    return Status(
        at=now,
        partitions=tuple(parts),
        tables=tuple(lake.tables[name] for name in sorted(lake.tables)),
        gaps=lake.gaps,
        writers=kafka.writers,
        is_counted=kafka.is_counted,
        not_begun=tuple(c.name for c in chosen if c.name not in begun | lake.unreadable.keys())
        if "journal" not in lake.unreadable
        else (),
        tenants=tenants.by_status,
        problems=tuple(_problems(settings, lake, kafka, tenants, parts)),
    )


def _partitions(contract: Contract, lake: LakeSide, kafka: KafkaSide) -> Iterator[PartitionStatus]:
    known = {
        (source.topic, source.partition): source
        for source in lake.positions
        if source.topic == contract.topic
    }
    in_kafka = {key for key in kafka.ends if key[0] == contract.topic}
    for key in sorted(known.keys() | in_kafka):
        ends = kafka.ends.get(key)
        source = known.get(key)
        if source is None:
            assert ends is not None
            source = Source(key[0], ends.topic_id, key[1])
        stored = lake.positions.get(source)
        lag = None
        if ends is not None and not lake.unreadable.keys() & {contract.name, "journal"}:
            lag = max(0, ends.end - _next(stored, source, lake, kafka))
        yield PartitionStatus(
            contract.name, source, stored, None if ends is None else ends.end, lag, None
        )


def _next(stored: int | None, source: Source, lake: LakeSide, kafka: KafkaSide) -> int:
    """Return the offset that the writer reads next."""
    ends = kafka.ends.get((source.topic, source.partition))
    low = 0 if ends is None else ends.low
    if ends is not None and ends.topic_id != source.broker_topic_id:
        return low  # another topic of that name: all of it is new
    following = lake.begins.get(source, low) if stored is None else stored + 1
    return max(following, low)


def _with_oldest(part: PartitionStatus, oldest: dict[tuple[str, int], datetime]) -> PartitionStatus:
    at = oldest.get((part.source.topic, part.source.partition))
    return PartitionStatus(part.contract, part.source, part.stored, part.end, part.lag, at)


def _problems(
    settings: LakeSettings,
    lake: LakeSide,
    kafka: KafkaSide,
    tenants: TenantSide,
    parts: list[PartitionStatus],
) -> Iterator[Problem]:
    if kafka.trouble is not None:
        yield Problem(kafka.trouble.message, kafka.trouble.hint or "Is the broker up?")
    if tenants.trouble is not None:
        yield Problem(tenants.trouble.message, tenants.trouble.hint or "Is the database up?")
    for name, why in lake.unreadable.items():
        table = "ops.journal" if name == "journal" else f"bronze.{name}"
        yield Problem(
            f"{table} at {settings.root} cannot be read: {why}",
            "Is the lake reachable? LAKEWARD_LAKE_ROOT says where it is, and for an object store "
            "the AWS_* variables say how to get in.",
        )
    for table_status in lake.tables.values():
        if table_status.writer != settings.writer_name:
            yield Problem(
                f"bronze.{table_status.facts.name} is filled by the writer "
                f"{table_status.writer!r}, and this one is called {settings.writer_name!r}",
                f"Set LAKEWARD_WRITER_NAME={table_status.writer}, or use another lake.",
            )
    for topic in sorted({part.source.topic for part in parts} & set(kafka.missing)):
        yield Problem(
            f"Kafka has no topic {topic}, from which the lake was filled",
            "Was it deleted? `lakeward write --create-topics --accept-gap` makes it again and goes "
            "on with it.",
        )
    for part in parts:
        ends = kafka.ends.get((part.source.topic, part.source.partition))
        if ends is not None and part.stored is not None:
            yield from _meeting(part.source, part.stored, ends, lake)
    lag = sum(part.lag or 0 for part in parts)
    if lag and kafka.writers == 0:
        yield Problem(
            f"{lag:,} messages wait, and no writer is at work",
            "`lakeward write` takes them; `lakeward write --until-current` does and ends.",
        )


def _meeting(source: Source, stored: int, ends: TopicEnds, lake: LakeSide) -> Iterator[Problem]:
    """Do the lake and Kafka meet, so that a writer can go on?"""
    if ends.topic_id != source.broker_topic_id:
        yield Problem(
            f"{source}: the topic was deleted and made again: the lake holds the old one up to "
            f"offset {stored:,}",
            GAP_HINT,
        )
    elif stored + 1 < ends.low and not _is_accepted(source, stored + 1, ends.low - 1, lake):
        yield Problem(
            f"{source}: the lake ends at offset {stored:,}, and Kafka begins at {ends.low:,}: the "
            f"{ends.low - stored - 1:,} offsets in between have expired",
            GAP_HINT,
        )
    elif stored + 1 > ends.high:
        yield Problem(
            f"{source}: the lake ends at offset {stored:,}, and Kafka ends before {ends.high:,}: "
            "the topic was made again, or its end was lost",
            GAP_HINT,
        )


def _is_accepted(source: Source, first: int, last: int, lake: LakeSide) -> bool:
    return any(
        gap.source == source and (gap.first_offset, gap.last_offset) == (first, last)
        for gap in lake.gaps
    )
