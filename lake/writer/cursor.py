"""How far the writer has come in one partition."""

from __future__ import annotations

from dataclasses import dataclass

from lake.writer.batch import Part
from lake.writer.source import Source


@dataclass(slots=True)
class Cursor:
    """How far the polling of one source has come; every offset below ``first`` is handed over."""

    source: Source
    held: int | None
    """What the tables hold once all batches handed over so far have landed."""
    first: int
    """The first offset of the next batch."""
    last: int
    """The last offset passed: that of a message in the buffer, or one before the partition's end;
    ``first - 1`` when the next batch has nothing yet."""
    settled: int
    """The first offset that is not in the tables yet."""
    is_seeking: bool = False
    """True until the consumer was told to go on from ``first``; what it delivers is dropped."""
    has_reached_end: bool = False
    """True once the partition's end was seen."""

    @classmethod
    def at(cls, source: Source, held: int | None, first: int) -> Cursor:
        """Return a cursor that begins at ``first``."""
        return cls(source, held, first, first - 1, first)

    def take_part(self) -> Part | None:
        """Hand over what was passed since the last time, if anything."""
        if self.last < self.first:
            return None
        part = Part(self.source, self.held, self.first, self.last)
        self.held = self.last
        self.first = self.last + 1
        return part
