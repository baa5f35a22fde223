"""Some events of one contract, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ingest.contracts.model import Contract
from ingest.generator.draws import Flags, Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one contract before they are messages: contract columns and two clocks."""

    contract: str
    occurred_ms: Ints
    """Event time, milliseconds since 1970 UTC; the columns hold it too, as text."""
    appended_ms: Ints
    """When the message reaches Kafka if nothing delays it."""
    columns: dict[str, list[Any]]
    """By column name of the contract; all lists alike long."""

    def __len__(self) -> int:
        return len(self.occurred_ms)

    def where(self, keep: Flags) -> Batch:
        """Return the events for which ``keep`` is True."""
        if bool(np.all(keep)):
            return self
        rows = np.flatnonzero(keep).tolist()
        return Batch(
            self.contract,
            self.occurred_ms[keep],
            self.appended_ms[keep],
            {name: [column[row] for row in rows] for name, column in self.columns.items()},
        )

    def payloads(self, contract: Contract) -> list[dict[str, Any]]:
        """Return each event as the JSON object that the contract describes."""
        names = [contract.field(column).payload_name for column in self.columns]
        rows = zip(*self.columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]
