"""Whether the collector can take events now, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ingest.collector.collecting import Keys
from ingest.collector.kafka_sender import KafkaSender
from ingest.collector.outbox import Outbox
from ingest.collector.spill import Spill

STALE_SECONDS: Final = 10.0
"""Five times the pause between two readings of the registry: one that failed is no news yet."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Looks at Kafka as it was last seen, at the spill, and at the copy of the registry.

    Without the registry events are taken as before, until the copy is too old.
    """

    outbox: Outbox
    spill: Spill
    sender: KafkaSender
    keys: Keys

    def told(self) -> dict[str, Any]:
        """Return ``is_ready``, and what it follows from."""
        age = self.keys.age_seconds
        why = []
        if self.outbox.is_spilling and self.spill.is_full:
            why.append("Kafka is away and the spill is full")
        if self.keys.is_too_old:
            why.append("the registry of tenants is away for too long")
        return {
            "is_ready": not why,
            "kafka": "away" if self.outbox.is_spilling else "ok",
            "producer": self.sender.failure or "ok",
            "tenant_registry": "ok" if age < STALE_SECONDS else "away",
            "tenant_registry_age_seconds": round(age, 1),
            "spill_bytes": self.spill.size,
            "why": "; ".join(why) or None,
        }
