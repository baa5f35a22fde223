"""Audit a lake: all its bronze tables, and the dead letters that none of them knows."""

from __future__ import annotations

from lake.audit.offsets import AnnouncedOffsets, DeadOffsets, ReplayedOffsets
from lake.audit.partition import PartitionAudit
from lake.audit.report import AuditReport
from lake.audit.table import TableAudit
from lake.commit_ranges import recorded
from lake.errors import MissingTableError
from lake.journal import Journal
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source
from lake.writer.target import ROLE, WRITER


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
    replayed = {name: ReplayedOffsets(lake, name, table) for name, table in tables.items()}
    dead_letters = lake.open("bronze", DEAD_LETTERS)
    writer = dead_letters.metadata().configuration.get(WRITER, "")
    entries = Journal(lake, writer).entries()
    dead = DeadOffsets(dead_letters)
    announced = AnnouncedOffsets(lake)
    found: list[PartitionAudit] = []
    for name, table in tables.items():
        found += TableAudit(
            name, table, ranges[name], replayed[name], writer, entries, dead, announced, topic
        ).run()
    if topic is not None and not found:
        raise MissingTableError(
            f"nothing to audit: nothing was written from the topic {topic}",
            hint="`lakeward audit` without --topic shows those there are.",
        )
    found += _unclaimed(dead, {part.source for part in found}, topic)
    versions = {name: table.version() for name, table in tables.items()}
    return AuditReport(tuple(found), {**versions, DEAD_LETTERS: dead_letters.version()})


def _unclaimed(dead: DeadOffsets, known: set[Source], topic: str | None) -> list[PartitionAudit]:
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
