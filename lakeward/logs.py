"""Log lines on standard error, for people or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

OWN: Final = ("ingest", "lake", "expectations", "serving", "orchestration", "lakeward")
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logging(*, as_json: bool) -> None:
    """Write lakeward's log lines to standard error: every level as JSON, else warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    for name in OWN:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO if as_json else logging.WARNING)
        logger.handlers = [handler]
        logger.propagate = False


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainLines(logging.Formatter):
    """Level, event and fields, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = " ".join(f"{name}={value}" for name, value in fields(record).items())
        line = f"{record.levelname.lower()}: {record.getMessage()} {told}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line
