"""Of all that the processes write, a user sees the warnings, once, and short."""

from __future__ import annotations

import pytest

from orchestration.stack.log_lines import worth_showing


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            '{"at": "2026-03-01", "level": "warning", "logger": "lake.writer", "event": "paused", '
            '"bytes": 12, "limit": 10}',
            "warning: paused bytes=12 limit=10",
        ),
        ('{"at": "2026-03-01", "level": "info", "logger": "x", "event": "progress"}', None),
        (
            '{"not": "a log line, with an ERROR in it"}',
            '{"not": "a log line, with an ERROR in it"}',
        ),
        ("error: cannot reach Kafka", "error: cannot reach Kafka"),
        ("2026-03-01 - dagster - ERROR - it failed", "2026-03-01 - dagster - ERROR - it failed"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("WARNING:lake.writer:what Dagster wrote already", None),
        ("0 errors, no warnings", None),
        ("", None),
    ],
)
def test_only_warnings_and_errors_are_shown(line: str, shown: str | None) -> None:
    assert worth_showing(line) == shown
