"""The two places the command line writes to."""

from __future__ import annotations

from rich.console import Console

console = Console()
"""Results: standard output."""

errors = Console(stderr=True)
"""Progress, warnings and errors: standard error, so that output can be piped."""
