r"""JSON read strictly and without loss: numbers stay as they are written.

Strict is RFC 8259: no NaN, no trailing comma, no byte order mark. Two limits are lakeward's own:
no lone surrogate (``\ud800`` is no character and cannot be stored as UTF-8), and no nesting
deeper than ``MAX_DEPTH`` (what is written to a table must be readable by whoever queries it).

Python's own parser does the work; it is told to hand over numbers as text, and members as pairs,
because a float would round ``0.1000000000000000055`` and a dict would forget a repeated name.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

MAX_DEPTH: Final = 128
"""Objects and lists inside each other, the outermost counted."""


class Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """A JSON object: its members in order, repeated names included."""

    __slots__ = ()


Value: TypeAlias = str | bool | list[Any] | None
"""A ``Number`` is a ``str`` and ``Members`` are a ``list``: ask for those two first."""


class NotJsonError(ValueError):
    """The text is not JSON; the message says where and why, never what the text was."""


def parse(text: str) -> Value:
    """Read one JSON value.

    Raises:
        NotJsonError: it is not JSON, has a lone surrogate, or nests too deep.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise NotJsonError(f"nests deeper than {MAX_DEPTH} levels")
    try:
        value: Value = _PARSER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg} at character {error.pos}") from None
    if _MAYBE_LONE.search(text) and _has_lone_surrogate(value):
        raise NotJsonError("an escape names half a surrogate pair, which is no character")
    return value


def compact(value: Value) -> str:
    """Write a value as JSON without spaces: the same members in the same order.

    A number gets its shortest form (``1.50`` is ``1.5``) if a double holds exactly what is
    written, and stays as it is written otherwise, so that no digit is ever lost.
    """
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Number):
        return _shortest(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Members):
        inner = ",".join(f"{quoted(name)}:{compact(member)}" for name, member in value)
        return "{" + inner + "}"
    return "[" + ",".join(map(compact, value)) + "]"


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is no JSON value")


_PARSER: Final = json.JSONDecoder(
    object_pairs_hook=Members,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_refuse_constant,
)
_MAYBE_LONE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def _depth(text: str) -> int:
    """Return how deep ``text`` nests, not looking further than just past the limit."""
    depth = deepest = 0
    for match in _BRACKET.finditer(text):
        found = match.group()
        if found in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif found in ("]", "}"):
            depth -= 1
    return deepest


def _has_lone_surrogate(value: Value) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


_TO_ESCAPE: Final = re.compile('["\\\\\x00-\x1f]')
_ESCAPES: Final = {
    **{code: f"\\u{code:04X}" for code in range(0x20)},
    **{ord(char): "\\" + char for char in '"\\'},
    **{ord(char): "\\" + name for char, name in zip("\b\t\n\f\r", "btnfr", strict=True)},
}


def quoted(text: str) -> str:
    """Write a string as JSON, escaping only what must be."""
    if _TO_ESCAPE.search(text):
        text = text.translate(_ESCAPES)
    return f'"{text}"'


_INTEGER: Final = re.compile(r"-?[0-9]+")
_INTEGER_RANGE: Final = range(-(2**63), 2**64)
_LONGEST_INTEGER: Final = 20


def _shortest(number: Number) -> str:
    if _INTEGER.fullmatch(number):
        if len(number) <= _LONGEST_INTEGER and (whole := int(number)) in _INTEGER_RANGE:
            return str(whole)
        return str(number)
    nearest = float(number)
    if math.isinf(nearest):
        return str(number)
    if nearest == 0.0:
        if any(digit in "123456789" for digit in re.split("[eE]", number)[0]):
            return str(number)
        return repr(nearest)
    shortest = Decimal(repr(nearest))
    if shortest != Decimal(number):
        return str(number)
    sign, digits, exponent = shortest.as_tuple()
    assert isinstance(exponent, int)
    return ("-" if sign else "") + _positional("".join(map(str, digits)), exponent)


_POSITIONAL_FROM: Final = -7
_POSITIONAL_BELOW: Final = 21


def _positional(digits: str, exponent: int) -> str:
    """Write ``digits`` times ten to the ``exponent`` the way JavaScript does, but ``1.0`` for 1.

    With a point between 1e-7 and 1e21, in scientific notation outside.
    """
    significant = digits.rstrip("0")
    exponent += len(digits) - len(significant)
    size = exponent + len(significant) - 1
    if not _POSITIONAL_FROM < size < _POSITIONAL_BELOW:
        point = "." + significant[1:] if len(significant) > 1 else ""
        return f"{significant[0]}{point}e{size}"
    if exponent >= 0:
        return significant + "0" * exponent + ".0"
    if size < 0:
        return "0." + "0" * (-size - 1) + significant
    return f"{significant[: size + 1]}.{significant[size + 1 :]}"
