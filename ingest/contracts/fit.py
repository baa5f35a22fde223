"""Whether a JSON value fits a column, and what it is there: the definition of every coercion.

A value is never turned into another type. The exceptions are text that JSON has no type for
(timestamps, dates) and decimals, which careful producers send as strings. What does not fit exactly
is left for ``_rescued``; docs/concepts/decoding.md is the same in a table.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Final, TypeAlias

from ingest.contracts.json_text import Members, Number, Value, compact
from ingest.contracts.model import Field

Fitted: TypeAlias = "str | int | float | bool | Decimal | dt.date | list[tuple[str, str | None]]"


class Misfit:
    """The value is not of the column's type."""

    __slots__ = ()


MISFIT: Final = Misfit()

Fit: TypeAlias = "Callable[[Value], Fitted | Misfit]"


def fit_of(field: Field) -> Fit:
    """Return the function that fits non-null values to ``field``'s column.

    What it returns is what Arrow takes for the column's type; timestamps are microseconds since
    1970-01-01 UTC, cut off below the microsecond (``loses_digits`` tells when).
    """
    if field.kind == "decimal":
        precision, scale = field.precision, field.scale
        return lambda value: _decimal(value, precision, scale)
    return _FITS[field.kind]


def loses_digits(value: Value) -> bool:
    """True when a timestamp's value has digits below the microsecond that are not zero.

    The column then has the microsecond, and ``_rescued`` the whole of it.
    """
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    return match is not None and bool((match["fraction"] or "")[6:].strip("0"))


def _string(value: Value) -> str | Misfit:
    return value if isinstance(value, str) and not isinstance(value, Number) else MISFIT


def _boolean(value: Value) -> bool | Misfit:
    return value if isinstance(value, bool) else MISFIT


def _number(value: Value) -> float | Misfit:
    if not isinstance(value, Number):
        return MISFIT
    nearest = float(value)
    if math.isinf(nearest):
        return MISFIT
    return 0.0 if value == "-0" else nearest


_NUMBER: Final = re.compile(
    r"(?P<sign>-?)(?P<whole>0|[1-9][0-9]*)(?:\.(?P<fraction>[0-9]+))?"
    r"(?:[eE](?P<power_sign>[+-]?)0*(?P<power>[0-9]+))?"
)
_LONGEST_POWER: Final = 12
_EXACT: Final = Context(prec=100)
_INT64: Final = range(-(2**63), 2**63)


def _unscaled(text: str, precision: int, scale: int) -> int | Misfit:
    """Return ``text`` times ten to the ``scale`` if that is whole and has ``precision`` digits."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return MISFIT
    fraction, power_digits = match["fraction"] or "", match["power"] or "0"
    digits = (match["whole"] + fraction).lstrip("0")
    if not digits:
        return 0
    if len(power_digits) > _LONGEST_POWER:
        return MISFIT
    significant = digits.rstrip("0")
    power = -int(power_digits) if match["power_sign"] == "-" else int(power_digits)
    power += scale - len(fraction) + len(digits) - len(significant)
    if power < 0 or len(significant) + power > precision:
        return MISFIT
    magnitude: int = int(significant) * 10**power
    return -magnitude if match["sign"] else magnitude


def _integer(value: Value) -> int | Misfit:
    if not isinstance(value, Number):
        return MISFIT
    whole = _unscaled(value, precision=19, scale=0)
    return whole if isinstance(whole, int) and whole in _INT64 else MISFIT


def _decimal(value: Value, precision: int, scale: int) -> Decimal | Misfit:
    if not isinstance(value, str):
        return MISFIT
    unscaled = _unscaled(value, precision, scale)
    if isinstance(unscaled, Misfit):
        return MISFIT
    return Decimal(unscaled).scaleb(-scale, _EXACT)


_TIMESTAMP: Final = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3])(?::?(?P<minutes>[0-5][0-9]))?)?"
)
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - both sides of the subtraction are UTC
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def _timestamp(value: Value) -> int | Misfit:
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return MISFIT
    micros = int((match["fraction"] or "")[:6].ljust(6, "0"))
    offset = dt.timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    try:
        local = dt.datetime.fromisoformat(f"{match['date']}T{match['time']}")
        utc = local + offset if match["sign"] == "-" else local - offset
    except (ValueError, OverflowError):
        return MISFIT
    return (utc - _EPOCH) // _MICROSECOND + micros


_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date(value: Value) -> dt.date | Misfit:
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return MISFIT
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        return MISFIT


def _map(value: Value) -> list[tuple[str, str | None]] | Misfit:
    if not isinstance(value, Members):
        return MISFIT
    if not all(member is None or isinstance(_string(member), str) for _, member in value):
        return MISFIT
    return list(dict(value).items())


def _json(value: Value) -> str | Misfit:
    return compact(value)


_FITS: Final[dict[str, Fit]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "date": _date,
    "map": _map,
    "json": _json,
}
