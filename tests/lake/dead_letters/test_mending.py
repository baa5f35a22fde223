"""What a mending file does to a payload, and what it says of itself when it is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.dead_letters.mend import CannotMendError, Kept, Mender
from lake.dead_letters.mending import load_mending, parse_mending
from lake.errors import MendingFileError
from tests.lake.writer.bench import CONTRACT

KEPT = Kept(datetime(2026, 3, 1, 12, tzinfo=UTC), b"acme|s1")


def mended(payload: bytes, *steps: dict[str, Any]) -> str:
    mending = parse_mending({"steps": list(steps)}, "test")
    # what the history keeps does the same
    again = parse_mending(json.loads(mending.as_json()), "history")
    results = {Mender(m, CONTRACT).mend(payload, KEPT).payload for m in (mending, again)}
    assert len(results) == 1
    return results.pop().decode()


@pytest.mark.parametrize(
    ("payload", "step", "expected"),
    [
        ('{"a":1}', {"set": {"path": "$.b.c", "value": 2}}, '{"a":1}'),
        ('{"b":{}}', {"set": {"path": "$.b.c", "value": {"d": [1.5]}}}, '{"b":{"c":{"d":[1.5]}}}'),
        ('{"a":null}', {"set": {"path": "$.a", "value": 2, "only_missing": True}}, '{"a":2}'),
        ('{"a":1}', {"set": {"path": "$.a", "value": 2, "only_missing": True}}, '{"a":1}'),
        ('{"a":1}', {"set": {"path": "$['b c']", "from": "$.a"}}, '{"a":1,"b c":1}'),
        ('{"a":1}', {"set": {"path": "$.b", "from": "$.x"}}, '{"a":1}'),
        ("{}", {"set": {"path": "$.at", "letter": "appended_at"}}, '{"at":"2026-03-01T12:00:00Z"}'),
        ("{}", {"set": {"path": "$.k", "letter": "key"}}, '{"k":"acme|s1"}'),
        (
            '[{"p":1},{}]',
            {"set": {"path": "$[*].p", "value": 0}},
            '[{"p":0},{"p":0}]',
        ),
        ('{"a":1,"b":2}', {"rename": {"path": "$.a", "to": "c"}}, '{"c":1,"b":2}'),
        ('{"a":12}', {"cast": {"path": "$.a", "to": "string"}}, '{"a":"12"}'),
        ('{"a":"12"}', {"cast": {"path": "$.a", "to": "integer"}}, '{"a":12}'),
        ('{"a":"1.10"}', {"cast": {"path": "$.a", "to": "number"}}, '{"a":1.1}'),
        ('{"a":"yes"}', {"cast": {"path": "$.a", "to": "boolean"}}, '{"a":true}'),
        ('{"a":"[1]"}', {"cast": {"path": "$.a", "to": "json"}}, '{"a":[1]}'),
        ('{"a":null}', {"cast": {"path": "$.a", "to": "integer"}}, '{"a":null}'),
        (
            '{"a":1772366400000}',
            {"cast": {"path": "$.a", "to": "timestamp", "format": "unix_ms"}},
            '{"a":"2026-03-01T12:00:00Z"}',
        ),
        ('{"l":[1,2,3]}', {"drop": "$.l[?@ > 1]"}, '{"l":[1]}'),
        ('{"a":{"b":1},"c":{"b":2}}', {"drop": "$..b"}, '{"a":{},"c":{}}'),
    ],
)
def test_each_step_does_what_the_reference_says(
    payload: str, step: dict[str, Any], expected: str
) -> None:
    assert mended(payload.encode(), step) == expected


def test_text_is_mended_before_it_is_read() -> None:
    fixed = mended(b'{"a":NaN,}', {"replace": {"text": "NaN", "with": "null"}},
                   {"replace": {"text": r",(\s*})", "with": r"\1", "regex": True}},
                   {"set": {"path": "$.b", "value": 1}})  # fmt: skip
    assert fixed == '{"a":null,"b":1}'
    assert mended('{"a":"é"}'.encode("latin-1"), {"encoding": "latin-1"}) == '{"a":"é"}'


@pytest.mark.parametrize("number", ["0.1000000000000000055", "12345678901234567890123"])
def test_a_number_keeps_every_digit(number: str) -> None:
    step = {"set": {"path": "$.b", "value": 1}}
    assert mended(f'{{"a":{number}}}'.encode(), step) == f'{{"a":{number},"b":1}}'


@pytest.mark.parametrize(
    ("payload", "step", "why"),
    [
        (
            b'{"a":"secret"}',
            {"cast": {"path": "$.a", "to": "integer"}},
            "a string that is no integer",
        ),
        (b'{"a":1e999999999}', {"cast": {"path": "$.a", "to": "integer"}}, "no integer"),
        (b'{"a":1,"b":2}', {"rename": {"path": "$.a", "to": "b"}}, "there is a member b already"),
        (b"{}", {"drop": "$"}, "the whole message cannot be dropped"),
        (b"[broken", {"drop": "$.a"}, "it is still no JSON"),
        (b"7", {"drop": "$.a"}, "the message is no object"),
        (b"\xff", {"drop": "$.a"}, "the bytes are not utf-8"),
        (None, {"drop": "$.a"}, "the message has no value"),
    ],
)
def test_what_cannot_be_mended_says_why_and_never_what_it_held(
    payload: bytes, step: dict[str, Any], why: str
) -> None:
    with pytest.raises(CannotMendError, match=why) as raised:
        mended(payload, step)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: []", "steps: it is empty"),
        ("steps: [{nope: 1}]", "step 1.nope: it is not known here"),
        ("steps: [{set: {path: $.a}}]", "step 1.set: expected exactly one of value, from, letter"),
        ("steps: [{drop: a.b}]", "step 1.drop.path: `a.b` is no JSONPath"),
        ("steps: [{drop: $.a}, {replace: {text: a, with: b}}]", "`replace` must come before"),
        ("steps: [{drop: $.a, rename: {path: $.b, to: c}}]", "step 1: expected exactly one of"),
        ("steps: [{cast: {path: $.a, to: timestamp}}]", "`format` belongs to"),
        ("steps: [{encoding: klingon}]", "no encoding is called `klingon`"),
        ("steps: [{replace: {text: '(', with: '', regex: true}}]", "is no regular expression"),
        ("steps: [{set: {path: $.a, from: '$.b[*]'}}]", "may find several values"),
        ("steps: [a: [}", "expected YAML"),
    ],
)
def test_a_wrong_file_says_what_and_where(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mend.yaml"
    file.write_text(text)
    with pytest.raises(MendingFileError) as raised:
        load_mending(file)
    assert said in raised.value.message
    assert str(file) in raised.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(document=st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_what_no_step_names_stays_as_it_was(document: dict[str, Any]) -> None:
    payload = json.dumps(document).encode()
    assert json.loads(mended(payload, {"drop": "$['no such member']"})) == document
