"""What a check found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.suite import Severity
from lake.tables import Layer


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Whether one rule held."""

    rule: str
    kind: str
    column: str | None
    severity: Severity
    success: bool
    observed: str
    """What was seen, in words or numbers."""
    checked: int
    """Rows looked at for this rule."""
    unexpected: int | None
    """Rows that did not hold; None for a rule about the batch as a whole."""
    sample: tuple[dict[str, Any], ...]
    """Keys of some rows that did not hold."""
    why: str
    """What it means when it does not hold."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """What one suite found, or why it did not look."""

    suite: str
    layer: Layer
    table: str
    rules: tuple[RuleResult, ...] = ()
    version_from: int | None = None
    """Rows after this version were looked at; None means the whole table."""
    version_to: int | None = None
    rows_available: int = 0
    """Rows that the result speaks for."""
    rows_checked: int = 0
    """Rows looked at: fewer than ``rows_available`` when they were sampled."""
    note: str = ""
    """What else a reader must know, e.g. that the whole table was read and why."""
    is_repeated: bool = False
    """True when nothing is new and these are the results of the last check."""
    skipped: str | None = None
    """Why nothing was looked at; None when something was."""

    @property
    def is_sampled(self) -> bool:
        """True when not every row was looked at."""
        return self.rows_checked < self.rows_available

    def failures(self, *severities: Severity) -> list[RuleResult]:
        """Return the rules that did not hold, of the given severities or of all."""
        return [
            r for r in self.rules if not r.success and r.severity in (severities or [r.severity])
        ]

    @property
    def success(self) -> bool:
        """False when a blocking rule did not hold."""
        return not self.failures("block")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What one run found in all its suites."""

    run_id: str
    checked_at: datetime
    suites: tuple[SuiteResult, ...]
    data_docs: Path
    """The index page."""

    @property
    def success(self) -> bool:
        """False when a blocking rule did not hold anywhere."""
        return all(suite.success for suite in self.suites)

    def failures(self, *severities: Severity) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Yield what did not hold, of the given severities or of all."""
        for suite in self.suites:
            for rule in suite.failures(*severities):
                yield suite, rule
