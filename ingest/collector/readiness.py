"""Whether the collector can take events now, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingest.collector.kafka_sender import KafkaSender
from ingest.collector.outbox import Outbox
from ingest.collector.spill import Spill


@dataclass(frozen=True, slots=True)
class Readiness:
    """Looks at Kafka as it was last seen, and at the spill."""

    outbox: Outbox
    spill: Spill
    sender: KafkaSender

    def told(self) -> dict[str, Any]:
        """Return ``is_ready``, and what it follows from."""
        is_ready = not (self.outbox.is_spilling and self.spill.is_full)
        return {
            "is_ready": is_ready,
            "kafka": "away" if self.outbox.is_spilling else "ok",
            "producer": self.sender.failure or "ok",
            "spill_bytes": self.spill.size,
            "why": None if is_ready else "Kafka is away and the spill is full",
        }
