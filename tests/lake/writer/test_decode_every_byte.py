"""A row is taken without a second look only if its values account for every byte of its message."""

from __future__ import annotations

import itertools
import json

import pytest

from ingest.contracts.exact import ExactDecoder, Row
from ingest.contracts.model import Field
from lake.writer.decode import Decoder
from tests.lake.writer.decoding import GOOD, PROBE, contract_of, messages_of

NUMBERS = (
    "1e5",
    "1E5",
    "1.5e3",
    "12e-1",
    "1e-3",
    "1e-5",
    "1e16",
    "1e20",
    "1e21",
    "-1e5",
    "123456789012345680000",
    "-12345678901234568000000",
    "0.1000000000000000055511151231257827",
    "0.00001",
    "100000.0",
    "49.0",
    "49",
    "-0",
    "-0.0",
    "2.49",
)
"""Among them those that DuckDB writes with more bytes than the message has."""

SLACK = range(5, 26)
"""Bytes of the unknown member, from the shortest there is: ``,"":0``."""


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(PROBE, None)


def head(**members: object) -> str:
    """A good message without its closing brace, written compactly."""
    return json.dumps({**GOOD, **members}, separators=(",", ":"), ensure_ascii=False)[:-1]


def hidden(size: int) -> str:
    """An unknown member that takes so many bytes, its comma included."""
    return f',"{"x" * (size - 5)}":0'


def rescued(decoder: Decoder, texts: list[str]) -> list[str | None]:
    decoded = decoder.decode(messages_of([text.encode() for text in texts]))
    assert decoded.dead.num_rows == 0, decoded.dead["detail"].to_pylist()[:3]
    found = zip(
        decoded.rows["_offset"].to_pylist(), decoded.rows["_rescued"].to_pylist(), strict=True
    )
    return [kept for _, kept in sorted(found)]


@pytest.mark.parametrize("field", ["load_time", "amount", "clicks"])
def test_no_number_hides_an_unknown_member(decoder: Decoder, field: str) -> None:
    name = next(f.payload_name for f in PROBE.fields if f.name == field)
    member = "," + json.dumps(name) + ":"
    texts = [
        f"{head()}{member}{number}{hidden(size)}}}"
        for number, size in itertools.product(NUMBERS, SLACK)
    ]
    for text, kept in zip(texts, rescued(decoder, texts), strict=True):
        unknown = hidden(9)[2:3]
        assert kept is not None, text
        assert any(set(key) <= {unknown} for key in json.loads(kept)), text


def test_many_numbers_together_hide_nothing() -> None:
    fields = [Field(f"n{n}", f"n{n}", "number") for n in range(6)]
    decoder = Decoder(contract_of([*PROBE.fields[:3], *fields]), None)
    texts = [
        head() + "".join(f',"n{n}":{number}' for n in range(6)) + hidden(size) + "}"
        for number, size in itertools.product(NUMBERS, range(5, 40))
    ]
    assert all(rescued(decoder, texts))


def test_a_string_that_is_a_number_hides_nothing(decoder: Decoder) -> None:
    for bare in ("5", "true", "[1]", '{"a":1}', "null"):
        texts = [
            f'{head()},"note":{bare},"client.ip":{bare},"Note":{bare}{hidden(size)}}}'
            for size in SLACK
        ]
        assert all(rescued(decoder, texts)), bare


def test_what_is_nested_hides_nothing(decoder: Decoder) -> None:
    for nested in ('{"a":1e5,"b":1e5}', "[1e5,1e-3]", '"x"', "1e5"):
        texts = [f'{head()},"properties":{nested}{hidden(size)}}}' for size in SLACK]
        assert all(rescued(decoder, texts)), nested


def test_of_a_member_that_is_there_twice_the_last_counts(decoder: Decoder) -> None:
    texts = [f'{head()},"note":"a","note":"{"b" * n}"}}' for n in range(20)]
    rows = decoder.decode(messages_of([text.encode() for text in texts])).rows
    notes = sorted(zip(rows["_offset"].to_pylist(), rows["note"].to_pylist(), strict=True))
    assert [note for _, note in notes] == ["b" * n for n in range(20)]


@pytest.mark.parametrize("text", ["", "{}", "[]", "5", '""', "null", "[[]]"])
def test_without_required_fields_an_empty_message_is_judged_as_alone(text: str) -> None:
    contract = contract_of([Field("note", "note", "string"), Field("n", "n", "number")])
    decoded = Decoder(contract, None).decode(messages_of([text.encode(), b'{"note":"x"}']))
    is_row = isinstance(ExactDecoder(contract, None).decode(text.encode()), Row)
    assert (decoded.rows.num_rows, decoded.dead.num_rows) == (1 + is_row, 1 - is_row)


@pytest.mark.parametrize(
    "text",
    [
        '{ "note": "x" }',
        '{"note":"x" }',
        '{"n\\u006fte":"x"}',
        '{"note":"\\u0078"}',
        '{"note":"x","n":null}',
        '{"note":"é\\u00e9"}',
    ],
)
def test_another_way_to_write_the_same_gives_the_same_row(text: str) -> None:
    contract = contract_of([Field("note", "note", "string"), Field("n", "n", "number")])
    decoded = Decoder(contract, None).decode(messages_of([text.encode()]))
    assert decoded.rows["note"].to_pylist() == [json.loads(text)["note"]]
    assert decoded.rows["_rescued"].to_pylist() == [None]
