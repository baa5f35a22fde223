"""The stop when too many messages are dead letters: a bad deploy should not bury a topic.

Events of unknown tenants do not count: or one suspended tenant that keeps sending would stop the
writer for all others.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import numpy as np

from lake.errors import DeadLetterLimitError

Flags = np.ndarray[Any, np.dtype[np.bool_]]
TOP_REASONS = 3


class DeadLetterLimit:
    """Watches the last ``window`` messages of one topic, message by message across batches.

    Fewer messages than ``window`` never stop the writer.
    """

    def __init__(self, contract: str, share: float, window: int) -> None:
        self._contract = contract
        self._share = share
        self._window = window
        self._flags: Flags = np.zeros(0, dtype=bool)
        self._reasons: deque[Counter[str]] = deque(maxlen=20)

    def check(self, dead: Flags, reasons: Counter[str]) -> None:
        """Take in a batch: which messages, in poll order, count as dead letters, and why.

        Raises:
            DeadLetterLimitError: in some run of ``window`` messages that ends in this batch, more
                than ``share`` are dead letters. The batch is then not taken in.
        """
        if dead.any():
            self._refuse(dead, reasons)
        self._flags = np.concatenate([self._flags, dead])[-(self._window - 1) :]
        if self._window == 1:
            self._flags = self._flags[:0]
        self._reasons.append(reasons)

    def _refuse(self, dead: Flags, reasons: Counter[str]) -> None:
        seen = np.concatenate([self._flags, dead])
        if len(seen) < self._window:
            return
        total = np.concatenate([[0], np.cumsum(seen)])
        worst = int((total[self._window :] - total[: -self._window]).max())
        if worst <= self._share * self._window:
            return
        counted = sum(self._reasons, Counter[str]()) + reasons
        top = ", ".join(f"{reason} {n:,}" for reason, n in counted.most_common(TOP_REASONS))
        raise DeadLetterLimitError(
            f"{worst:,} of {self._window:,} messages in a row of {self._contract} are dead letters "
            f"(limit {self._share:.0%}); the reasons of late: {top}",
            hint="The batch that passed the limit was not written, so that after mending the "
            'contract or the producer it is read again. `lakeward query "select reason, detail '
            'from bronze.dead_letters limit 20"` shows examples; --force goes on regardless.',
        )
