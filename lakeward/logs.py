"""Log lines on standard error, for people or as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

OWN: Final = ("ingest", "lake", "expectations", "serving", "orchestration", "lakeward")
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

CHATTY: Final = frozenset({"ingest.kafka.librdkafka", "lake.writer.silence"})
"""Loggers that say the same for every connection they try while a broker is away."""
SAY_AGAIN_SECONDS: Final = 30.0


def set_up_logging(*, as_json: bool) -> None:
    """Write lakeward's log lines to standard error: every level as JSON, else warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    handler.addFilter(NotAgain())
    for name in OWN:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO if as_json else logging.WARNING)
        logger.handlers = [handler]
        logger.propagate = False


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what was given as ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


class NotAgain(logging.Filter):
    """Lets a chatty logger say each kind of thing once in half a minute, and how often it was."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written; ``repeated`` counts those before it that were not."""
        if record.name not in CHATTY:
            return True
        # librdkafka's lines begin with their kind, e.g. FAIL
        kind = record.name, str(vars(record).get("error") or record.getMessage().split(" ", 1)[0])
        now = self._clock()
        last = self._said.get(kind)
        if last is not None and now - last < SAY_AGAIN_SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._said[kind] = now
        repeated = self._left_out.pop(kind, 0)
        if repeated:
            record.repeated = repeated
        return True


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
