"""One fault of a campaign, and what was seen of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Case:
    """What a fault's script notes while it runs."""

    kind: str
    what: str
    """What was done, in a few words."""
    began: float = field(default_factory=time.monotonic)
    """On the monotonic clock, as ``mended``."""
    mended: float | None = None
    """When what was broken was whole again; None: still broken."""
    seen: list[str] = field(default_factory=list)
    """Facts in the words of the table, e.g. ``fenced``."""

    def see(self, fact: str) -> None:
        """Note a fact."""
        self.seen.append(fact)

    def mend(self) -> None:
        """Note that what was broken is whole from now on."""
        self.mended = time.monotonic()
