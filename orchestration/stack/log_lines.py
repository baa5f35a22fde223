"""Which lines of a process's output a user should see at once, and how."""

from __future__ import annotations

import json
import re

WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^(error|warning|critical): |^Traceback ")
"""Levels as Python's logging, Dagster and lakeward's own plain lines write them."""
COPY = re.compile(r"^[A-Z]+:[\w.]+:")
"""Python's own default format: Dagster writes each line of a run in its format, too."""
SERIOUS = frozenset({"warning", "error", "critical"})
NOT_SHOWN = frozenset({"at", "level", "logger", "event", "exception"})


def worth_showing(line: str) -> str | None:
    """Return what to show of ``line``, None when it is only for the log file."""
    if line.startswith("{"):
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if isinstance(document, dict) and "event" in document:
            if document.get("level") not in SERIOUS:
                return None
            told = " ".join(f"{k}={v}" for k, v in document.items() if k not in NOT_SHOWN)
            return f"{document['level']}: {document['event']} {told}".rstrip()
    return line if WARNING.search(line) and not COPY.match(line) else None
