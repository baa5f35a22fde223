"""Which dead letters are meant: every filter that ``lakeward dead-letters`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Standing = Literal["waiting", "failed", "replayed"]
"""What became of a letter: ``waiting``: nothing yet. ``failed``: the last replay failed.
``replayed``: it is a row of its contract's table."""

OPEN: Final[frozenset[Standing]] = frozenset({"waiting", "failed"})
"""Letters that are not rows yet."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters, all of which a letter must pass; None lets every letter pass."""

    contract: str | None = None
    reason: str | None = None
    """Why decoding made it a dead letter."""
    tenant: str | None = None
    topic: str | None = None
    topic_id: str | None = None
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    """Inclusive."""
    appended_from: datetime | None = None
    """When it came into Kafka; UTC."""
    appended_before: datetime | None = None
    committed_from: datetime | None = None
    """When the writer put it away; UTC."""
    committed_before: datetime | None = None
    standing: frozenset[Standing] | None = None

    @property
    def is_everything(self) -> bool:
        """True when no filter is given."""
        return self == Selection()

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return an SQL condition on the letters, and the values of its parameters."""
        tests = {
            "contract": ("contract =", self.contract),
            "reason": ("reason =", self.reason),
            "tenant": ("tenant_id =", self.tenant),
            "topic": ("_topic =", self.topic),
            "topic_id": ("_topic_id =", self.topic_id),
            "partition": ("_partition =", self.partition),
            "first_offset": ("_offset >=", self.first_offset),
            "last_offset": ("_offset <=", self.last_offset),
            "appended_from": ("_appended_at >=", self.appended_from),
            "appended_before": ("_appended_at <", self.appended_before),
            "committed_from": ("_committed_at >=", self.committed_from),
            "committed_before": ("_committed_at <", self.committed_before),
        }
        given = {name: value for name, (_, value) in tests.items() if value is not None}
        conditions = [f"{tests[name][0]} ${name}" for name in given]
        if self.standing is not None:
            # of a fixed set of words, which is no place for parameters
            words = ", ".join(f"'{word}'" for word in sorted(self.standing))
            conditions.append(f"standing in ({words})" if words else "false")
        return " and ".join(conditions) or "true", given
