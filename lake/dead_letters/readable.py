"""The bytes of a dead letter as a person can read them, whatever they are.

What comes from a producer may be anything: broken text, other encodings, escape sequences that
would drive the terminal. Control characters are therefore written out, never passed on.
"""

from __future__ import annotations

import base64
import binascii
import json
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from ingest.contracts.json_text import (
    Members,
    NotJsonError,
    Number,
    Value,
    compact,
    parse,
    quoted,
)

LONGEST: Final = 64 * 1024
"""Bytes that are shown at most; the export has all of them."""

HEX_COLUMNS: Final = 16

Form = Literal["nothing", "json", "text", "bytes"]


@dataclass(frozen=True, slots=True)
class Readable:
    """Some bytes, made readable."""

    form: Form
    text: str
    size: int
    is_cut: bool = False
    """True when ``text`` shows only the beginning."""


def readable(content: bytes | None, longest: int = LONGEST) -> Readable:
    """Return JSON indented, other UTF-8 as it is, and anything else as a hexdump."""
    if content is None:
        return Readable("nothing", "", 0)
    size = len(content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Readable("bytes", _hexdump(content[: longest // 4]), size, size > longest // 4)
    form: Form = "text"
    with suppress(NotJsonError):
        text, form = _indented(parse(text)), "json"
    return Readable(form, printable(text[:longest]), size, len(text) > longest)


def _indented(value: Value, depth: int = 0) -> str:
    """Return a JSON value with a member a line; numbers stay as they are written."""
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Members) and value:
        members = (f"{quoted(name)}: {_indented(member, depth + 1)}" for name, member in value)
        return "{" + inner + f",{inner}".join(members) + outer + "}"
    if isinstance(value, list) and not isinstance(value, Members) and value:
        return "[" + inner + f",{inner}".join(_indented(v, depth + 1) for v in value) + outer + "]"
    return compact(value)


def printable(text: str) -> str:
    """Return a text in which only line breaks and tabs control the terminal."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
        else char.encode("unicode_escape").decode()
        for char in text
    )


def headers_of(text: str | None) -> list[tuple[str, Readable]]:
    """Return the headers that a dead letter keeps, each with its value made readable."""
    if text is None:
        return []
    found = []
    for name, value in json.loads(text):
        try:
            content = None if value is None else base64.b64decode(value, validate=True)
        except binascii.Error:
            content = str(value).encode()
        found.append((printable(str(name)), readable(content)))
    return found


def _hexdump(content: bytes) -> str:
    lines = []
    for at in range(0, len(content), HEX_COLUMNS):
        row = content[at : at + HEX_COLUMNS]
        pairs = " ".join(f"{byte:02x}" for byte in row)
        chars = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {pairs:<{HEX_COLUMNS * 3}} {chars}")
    return "\n".join(lines)
