"""Messages of ten megabytes, each ten of another thing, between two good ones."""

from __future__ import annotations

import pytest

from tests.fuzz.judge import Judge
from tests.lake.writer.decoding import PROBE, payload, raw_payload

SIZE = 10_000_000
ELEMENT = "9" * 99 + ","
MANY = SIZE // len(ELEMENT)
"""Elements that fill a monster; a hundred bytes each, so that the judge gets done with them."""


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(PROBE)


MONSTERS: dict[str, tuple[bytes, str]] = {
    "no UTF-8 at the very end": (payload()[:-2] + b"x" * SIZE + b'\xff"}', "not_utf8"),
    "rubbish": (b"\xf0\x9f\x98\x80" * (SIZE // 4), "not_json"),
    "zeros": (b"\x00" * SIZE, "not_json"),
    "spaces": (payload() + b" " * SIZE, "row"),
    "quotes": (b'"' * SIZE, "not_json"),
    "backslashes": (b'{"a":"' + b"\\" * SIZE, "not_json"),
    "unclosed lists": (b"[" * SIZE, "not_json"),
    "unclosed text": (payload()[:-2] + b"x" * SIZE, "not_json"),
    "cut off": (raw_payload(properties="[" + ELEMENT * MANY)[:-1], "not_json"),
    "a list": (b"[" + ELEMENT.encode() * MANY + b"1]", "not_an_object"),
    "a text": (b'"' + b"x" * SIZE + b'"', "not_an_object"),
    "a long name": (raw_payload(**{"n" * SIZE: "1"}), "row"),
    "many members": (raw_payload(**{f"m{n}": ELEMENT[:-1] for n in range(MANY)}), "row"),
    "one member many times": (payload()[:-1] + b',"note":"x"' * (SIZE // 11) + b"}", "row"),
    "a long list": (raw_payload(properties="[" + ELEMENT * MANY + "1]"), "row"),
    "a long map": (raw_payload(handles='{"a":"' + "x" * SIZE + '"}'), "row"),
    "a wide map": (
        raw_payload(handles="{" + ",".join(f'"k{n}":"{ELEMENT}"' for n in range(MANY)) + "}"),
        "row",
    ),
    "escapes": (raw_payload(note='"' + r"\u00e9" * (SIZE // 6) + '"'), "row"),
    "half a surrogate pair at the end": (
        raw_payload(note='"' + r"\ud83d\ude00" * (SIZE // 12) + r'\ud83d"'),
        "not_json",
    ),
    "digits": (raw_payload(clicks="7" * SIZE), "row"),
    "digits of a fraction": (raw_payload(amount="0." + "7" * SIZE, properties="1"), "row"),
    "nines below one": (raw_payload(**{'load "time"': "0." + "9" * SIZE}), "row"),
    "digits of a power": (raw_payload(properties="1e" + "9" * SIZE), "row"),
    "a tenant": (payload(tenant_id="t" * SIZE), "row"),
    "a moment": (payload(sentAt="2025-06-30T12:00:00." + "1" * SIZE), "row"),
}


@pytest.mark.parametrize(("monster", "ended"), MONSTERS.values(), ids=MONSTERS)
def test_a_monster_ends_in_one_place_and_harms_nobody(
    judge: Judge, monster: bytes, ended: str
) -> None:
    found = judge.judge([payload(), monster, payload(note="x", clicks=1)])
    assert [verdict.ended for verdict in found] == ["row", ended, "row"]
