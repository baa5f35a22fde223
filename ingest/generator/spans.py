"""Lengths of time as people write them: ``30d``, ``12h``, ``90m``, ``45s``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from ingest.errors import GeneratorError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_span(text: str, option: str) -> timedelta:
    """Return the length of time that ``text`` says.

    Raises:
        GeneratorError: it says none, or one of no length.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is not None and float(found[1]) > 0:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    raise GeneratorError(
        f"{option}: `{text}` is no length of time",
        hint="write a number and s, m, h, d or w: 30d, 12h, 90m, 45s",
    )
