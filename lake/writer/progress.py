"""What a run of the writer has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lake.writer.sink import Flushed


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run of the writer has done so far."""

    messages: int = 0
    """Messages whose fate is settled in the tables."""
    rows: int = 0
    """Bronze rows."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """Dead letters by reason."""
    rescued_fields: int = 0
    commits: int = 0
    fenced: int = 0
    """How often another writer had moved a partition."""
    lag: int | None = None
    """Messages in Kafka that are not in the tables yet, as last heard; None: not heard."""
    buffered: int = 0
    """Messages polled and not yet handed to a commit."""
    seconds: float = 0.0
    partitions: int = 0
    """Partitions this process holds."""

    def after(self, flushed: Flushed) -> Progress:
        """Return the progress with one more flush."""
        return replace(
            self,
            messages=self.messages + flushed.messages,
            rows=self.rows + flushed.rows,
            dead=dict(Counter(self.dead) + flushed.dead),
            rescued_fields=self.rescued_fields + flushed.rescued_fields,
            commits=self.commits + bool(flushed.landed),
            fenced=self.fenced + len(flushed.fenced),
        )
