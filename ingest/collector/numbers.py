"""JSON in, with every digit of every number kept.

orjson reads fastest, into floats. A float holds any number of up to 15 digits so that writing it
gives the same number again. What may be beyond that is looked for in the bytes, and read by
Python's own parser, which hands numbers over as they are written.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

from ingest.contracts.json_text import NotJsonError, parse

_DIGITS: Final = bytes(
    0x30 if chr(byte) in "0123456789." else 0x65 if chr(byte) in "eE" else byte
    for byte in range(256)
)
_LONG: Final = b"0" * 17
_ZEROS: Final = re.compile(rb"0+")
_POWER: Final = re.compile(rb"0e[+-]?000")
_BEFORE_A_NUMBER: Final = b":,["


def read_json(body: bytes) -> Any:
    """Return what ``body`` says; a number that no float holds is an ``orjson.Fragment``.

    Raises:
        NotJsonError: it is not JSON as ``ingest.contracts.json_text`` defines it; the message says
            where, never what.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _without_loss(body, error)
    return _without_loss(body, None) if _may_lose_digits(body) else value


def _may_lose_digits(body: bytes) -> bool:
    digits = body.translate(_DIGITS)
    at = digits.find(_LONG)
    while at >= 0:
        if _is_a_number(body, digits, at):
            return True
        run = _ZEROS.match(digits, at)
        assert run is not None, "it begins here"
        at = digits.find(_LONG, run.end())
    power = _POWER.search(digits)
    while power is not None:
        if _is_a_number(body, digits, power.start()):
            return True
        power = _POWER.search(digits, power.end())
    return False


def _is_a_number(body: bytes, digits: bytes, at: int) -> bool:
    """True when the digit at ``at`` ends a number, not a part of a string."""
    while at >= 0 and (digits[at] == 0x30 or body[at] == 0x2D):
        at -= 1
    while at >= 0 and body[at] in b" \t\r\n":
        at -= 1
    return at < 0 or body[at] in _BEFORE_A_NUMBER


def _without_loss(body: bytes, failure: orjson.JSONDecodeError | None) -> Any:
    try:
        text = body.decode()
        parse(text)
        return json.loads(text, parse_float=_float, parse_int=_int)
    except UnicodeDecodeError as error:
        raise NotJsonError(f"{error.reason} at byte {error.start}") from None
    except RecursionError:
        raise NotJsonError("it nests too deep") from None
    except NotJsonError as error:
        if failure is None:
            raise
        raise NotJsonError(f"{failure.msg.partition(':')[0]} ({error})") from None


def _float(text: str) -> object:
    value = float(text)
    return value if repr(value) == text else orjson.Fragment(text)


def _int(text: str) -> object:
    return int(text) if len(text) <= 18 else orjson.Fragment(text)
