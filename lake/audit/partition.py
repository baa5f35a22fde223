"""What the audit finds for one source: counts, and where the promise does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lake.writer.source import Source

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
