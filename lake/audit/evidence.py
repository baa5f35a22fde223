"""All that is held against each other for one source of one bronze table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lake.audit.partition import Finding, FindingKind
from lake.audit.spans import Span
from lake.audit.tally import Offsets, Tally
from lake.commit_ranges import Range
from lake.writer.source import Source
from lake.writer.taken import Mask

EXAMPLES: Final = 10
"""Offsets named in a finding; its count is exact."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the lake says of one source."""

    table: str
    source: Source
    first: int | None
    """The first offset that was to be read."""
    stored: int | None
    """The last offset that is settled, by the table's transaction id; None: nothing yet."""
    ranges: Sequence[Range]
    """What commits recorded."""
    gaps: Sequence[Span]
    """Offsets that Kafka had lost and a person accepted; ascending, without overlaps."""
    bronze: Tally
    """The rows that were never dead letters."""
    dead: Tally
    """The dead letters, replayed ones included."""
    letters: Offsets
    """Their offsets."""
    replays: Offsets
    """The letters that commits recorded as replayed, as often as they did."""
    came_back: Offsets
    """The rows that were dead letters first, as often as they are there."""
    was_bronze: Mask
    """Which of the offsets of ``bronze`` an erasure announced, for rows that were no letters."""
    was_dead: Mask
    """The same of ``dead``."""
    erased_rows: Offsets
    """All that an erasure announced for the bronze table."""
    erased_letters: Offsets
    """All that an erasure announced for the dead letters."""

    @property
    def early(self) -> Offsets:
        """Dead letters before every range."""
        strays = self.dead.strays()
        return strays[strays < self.bronze.first] if self.ranges else strays[:0]

    def finding(
        self, kind: FindingKind, count: int, what: str, offsets: Sequence[int] | Offsets = ()
    ) -> Finding:
        """Return that the promise does not hold here."""
        named = tuple(int(offset) for offset in offsets[:EXAMPLES])
        return Finding(kind, self.table, self.source, int(count), what, named)
