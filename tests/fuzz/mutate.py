"""Changes to messages: of bytes, of JSON tokens, and such as should change nothing."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from typing import Final

from ingest.contracts.model import Contract
from ingest.contracts.sample import sample_payload

LONGEST: Final = 20_000
"""Bytes; what grows beyond is cut."""

VALUES: Final = (
    b"null", b"true", b"false", b"{}", b"[]", b'""', b"0", b"-0", b"-0.0", b"1.0", b"1e2", b"1e400",
    b"-1e400", b"1e-400", b"0e999999999999", b"1e-999999999999", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"18446744073709551616", b"4.9e-324",
    b"0.1000000000000000055", b"12.340000000000000001", b"123456789012345.6", b"0.001",
    b"99999999999999999999999999999999999999", b"0.30000000000000004", b"1.7976931348623157e308",
    b'"2025-06-30T12:00:00Z"', b'"2025-06-30T12:00:00.123456789+05:30"', b'"2025-06-30"',
    b'"0001-01-01T00:00:00+00:01"', b'"9999-12-31T23:59:59-00:01"', b'"2025-06-30T23:59:60Z"',
    b'"epoch"', b'"infinity"', b'"12.50"', b'"-0"', b'"1e3"', b'"NaN"', b'" 12"', b'"true"',
    b'"null"', b'"{\\"a\\":1}"', b'"[1]"', b'{"a":"1","a":"2"}', b'{"a":null}', b'{"a":1}',
    b'["a"]',
    b'"\\u0000"', b'"\\ud83d\\ude00"', b'"\\u001f"', b'"\\/"', b'"\x7f"', b'"\xe2\x80\xa8"',
    "\"\N{GRINNING FACE}\"".encode(),
)  # fmt: skip
"""JSON values that somebody's parser once took for another."""

MARKS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"nan", b",", b":", b"{", b"}", b"[", b"]", b'"', b"\\",
    b"-", b"+", b".", b"e", b"E", b"01", b"1.", b".5", b"\\u0000", b"\\ud800", b"\\udc00", b"\x00",
    b"\x1f", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"//",
    b"/**/", b"'", b"\n", b"\t", b" ", b",}", b", ]",
)  # fmt: skip
"""What may make JSON of another kind of it, or none."""

_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|[\[\]{},:]'
)
_LETTER: Final = re.compile(rb"(?<![\\u0-9a-fA-F])[g-zG-Z_](?!\\)")


def seeds_of(contract: Contract) -> list[bytes]:
    """Return messages that a contract describes: whole, required members only, nulls."""
    whole = sample_payload(contract)
    least = {f.payload_name: whole[f.payload_name] for f in contract.fields if f.required}
    nulls = {**dict.fromkeys(whole), **least}
    return [json.dumps(one).encode() for one in (whole, least, nulls)]


class Mutator:
    """Makes a new message from those that there are; the same ones from the same ``draw``."""

    def __init__(self, draw: random.Random, contract: Contract) -> None:
        self._draw = draw
        self._names = [json.dumps(field.payload_name).encode() for field in contract.fields]

    def mutated(self, pool: Sequence[bytes]) -> bytes:
        """Return one of ``pool`` with one to four changes."""
        breaking = (self._byte, self._cut, self._put, self._spliced, self._again, self._wrapped)
        changing = (self._token, self._member, self._member, self._member, self._escaped,
                    self._spaced, self._renamed)  # fmt: skip
        payload = self._draw.choice(pool)
        for _ in range(self._draw.choice((1, 1, 2, 2, 3, 4))):
            change = self._draw.choice(breaking if self._draw.random() < 0.2 else changing)
            payload = change(payload, pool)
        return payload[:LONGEST]

    def _value(self) -> bytes:
        """Return a JSON value; one in ten is none."""
        draw = self._draw
        kind = draw.random()
        if kind < 0.1:
            return draw.choice(MARKS)
        if kind < 0.5:
            return draw.choice(VALUES)
        text = self._moment() if kind < 0.65 else self._number()
        return f'"{text}"'.encode() if kind < 0.75 else text.encode()

    def _number(self) -> str:
        draw = self._draw

        def digits(most: int) -> str:
            return "".join(draw.choices("0123456789", k=draw.randint(1, most)))

        text = draw.choice(("", "", "-")) + (digits(draw.choice((1, 3, 16, 40))).lstrip("0") or "0")
        if draw.random() < 0.5:
            text += "." + digits(draw.choice((1, 2, 6, 25)))
        if draw.random() < 0.25:
            text += draw.choice("eE") + draw.choice(("", "+", "-")) + digits(draw.choice((1, 2, 3)))
        return text

    def _moment(self) -> str:
        draw = self._draw
        year = draw.choice((1, 999, 1000, 1969, 1970, 2024, 2025, 2262, 2999, 3000, 9999))
        day, hour = f"{draw.randint(1, 12):02}-{draw.randint(1, 31):02}", draw.randint(0, 24)
        text = f"{year:04}-{day}{draw.choice('TTt ')}{hour:02}:{draw.randint(0, 59):02}:"
        text += f"{draw.choice((0, 1, 59, 60)):02}"
        if draw.random() < 0.6:
            text += "." + "".join(draw.choices("0123456789", k=draw.choice((1, 3, 6, 7, 9, 9, 10))))
        return text + draw.choice(("", "Z", "Z", "z", "+02:00", "-0330", "+14", "-23:59", "+24:00"))

    def _at(self, payload: bytes) -> int:
        return self._draw.randint(0, len(payload))

    def _byte(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        at = self._at(payload)
        return payload[:at] + bytes([self._draw.randrange(256)]) + payload[at + 1 :]

    def _cut(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        at = self._at(payload)
        return payload[:at] + payload[at + self._draw.choice((1, 1, 2, 8, 64)) :]

    def _put(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        at = self._at(payload)
        return payload[:at] + self._draw.choice(MARKS) + payload[at:]

    def _token(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        """Put an odd value where a value, a name or a mark was."""
        found = list(_TOKEN.finditer(payload))
        if not found:
            return payload
        match = self._draw.choice(found)
        return payload[: match.start()] + self._value() + payload[match.end() :]

    def _member(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        """Add a member, before the first or after the last; maybe one that is there already."""
        member = self._draw.choice(self._names) + b":" + self._value()
        begin, end = payload.find(b"{"), payload.rfind(b"}")
        if begin < 0 or end < 0:
            return payload
        if self._draw.random() < 0.5:
            return payload[: begin + 1] + member + b"," + payload[begin + 1 :]
        return payload[:end] + b"," + member + payload[end:]

    def _again(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        begin = self._at(payload)
        piece = payload[begin : begin + self._draw.choice((1, 4, 16, 64))]
        return payload[:begin] + piece * self._draw.choice((2, 2, 3, 40)) + payload[begin:]

    def _spliced(self, payload: bytes, pool: Sequence[bytes]) -> bytes:
        other = self._draw.choice(pool)
        return payload[: self._at(payload)] + other[self._at(other) :]

    def _wrapped(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        """Put a value into lists or objects, up to just past the deepest that is taken."""
        found = list(_TOKEN.finditer(payload))
        if not found:
            return payload
        match = self._draw.choice(found)
        deep = self._draw.choice((1, 2, 125, 126, 127, 128, 129, 500))
        opening, closing = self._draw.choice(((b"[", b"]"), (b'{"a":', b"}")))
        value = opening * deep + match.group() + closing * deep
        return payload[: match.start()] + value + payload[match.end() :]

    def _escaped(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        """Write a letter as ``\\uXXXX``: inside a string that is the same letter."""
        found = list(_LETTER.finditer(payload))
        if not found:
            return payload
        match = self._draw.choice(found)
        return payload[: match.start()] + b"\\u%04x" % ord(match.group()) + payload[match.end() :]

    def _spaced(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        space = self._draw.choice((b" ", b"\n", b"\t\r\n "))
        return _TOKEN.sub(lambda match: space + match.group() + space, payload)

    def _renamed(self, payload: bytes, _: Sequence[bytes]) -> bytes:
        """Give a value the name of another field."""
        found = list(re.finditer(rb'"(?:[^"\\]|\\.)*"(?=\s*:)', payload))
        if not found:
            return payload
        match = self._draw.choice(found)
        return payload[: match.start()] + self._draw.choice(self._names) + payload[match.end() :]
