"""The small changes that a mapping may make to a value on its way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ingest.importer.user_agent import browser, device_type

Change = Callable[[Any], Any]

_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "on"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "off"})


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("has a fraction")
    return int(value)


def _number(value: Any) -> int | float:
    if isinstance(value, int | float):
        return value
    text = str(value).strip()
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("is neither true nor false")


PLAIN: Final[dict[str, Change]] = {
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "strip": lambda value: str(value).strip(),
    "text": lambda value: str(value),
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "md5": lambda value: hashlib.md5(str(value).encode(), usedforsecurity=False).hexdigest(),
    "sha256": lambda value: hashlib.sha256(str(value).encode()).hexdigest(),
    "url_host": lambda value: urlsplit(str(value)).hostname,
    "url_path": lambda value: urlsplit(str(value)).path,
    "url_query": lambda value: urlsplit(str(value)).query or None,
    "browser": lambda value: browser(str(value)),
    "device_type": lambda value: device_type(str(value)),
}
"""Changes that need no argument, by name."""


def timestamp(form: str) -> Change:
    """Return the change that reads a time and writes it as ISO 8601 in UTC.

    ``form`` is what ``datetime.strptime`` takes, or ``unix`` or ``unix_ms`` for numbers. A time
    without an offset is taken as UTC.
    """

    def change(value: Any) -> str:
        if form in {"unix", "unix_ms"}:
            seconds = float(value) / (1000 if form == "unix_ms" else 1)
            at = datetime.fromtimestamp(seconds, UTC)
        else:
            at = datetime.strptime(str(value), form)  # noqa: DTZ007 - the offset is looked at next
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return at.isoformat().replace("+00:00", "Z")

    return change


def null_if(values: list[Any]) -> Change:
    """Return the change that makes these values null."""
    return lambda value: None if value in values else value


def lookup(table: dict[str, Any]) -> Change:
    """Return the change that replaces values by the table's; the others stay."""
    return lambda value: table.get(str(value), value)
