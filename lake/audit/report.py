"""The verdict on a lake: what was found for each source, and the sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.audit.partition import Finding, FindingKind, PartitionAudit


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The verdict on a lake."""

    partitions: tuple[PartitionAudit, ...]
    versions: Mapping[str, int] = field(default_factory=dict)
    """The version of each table that was looked at."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong."""
        return tuple(finding for part in self.partitions for finding in part.findings)

    @property
    def is_clean(self) -> bool:
        """True when the promise holds."""
        return not self.findings

    def count(self, kind: FindingKind) -> int:
        """How many offsets or rows findings of a kind concern."""
        return sum(finding.count for finding in self.findings if finding.kind == kind)

    @property
    def messages(self) -> int:
        """Messages settled in all partitions."""
        return sum(part.messages for part in self.partitions)

    @property
    def rows(self) -> int:
        """Rows in all bronze tables."""
        return sum(part.rows for part in self.partitions)

    @property
    def dead(self) -> int:
        """Dead letters of all partitions."""
        return sum(part.dead for part in self.partitions)

    @property
    def replayed(self) -> int:
        """Rows that were dead letters first."""
        return sum(part.replayed for part in self.partitions)

    @property
    def erased(self) -> int:
        """Offsets of all partitions that were erased with their tenant."""
        return sum(part.erased for part in self.partitions)
