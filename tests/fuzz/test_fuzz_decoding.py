"""A short run of the fuzzer of decoding, the same each time; ``make fuzz`` runs longer ones."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from unittest.mock import patch

import pyarrow as pa
import pytest

import ingest.contracts.fit
import ingest.contracts.json_text
import lake.writer.bulk_sql
from ingest.contracts.json_text import Members, Number
from ingest.contracts.model import Contract
from lake.writer.bulk import BulkDecoder
from tests.fuzz.fuzzer import contracts, corpus, fuzz, main
from tests.fuzz.judge import Broken, Judge

MESSAGES = 4_000
NEVER = r"\bnever\b"


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: contract.name)
def test_the_nasty_messages_that_are_kept_are_decoded_as_promised(contract: Contract) -> None:
    judge = Judge(contract)
    assert len({verdict.ended for verdict in judge.judge([*corpus(), None])}) > 3


def test_what_becomes_of_a_nasty_message_does_not_depend_on_those_beside_it() -> None:
    judge = Judge(contracts()[0])
    assert judge.judge(corpus()) == [judge.judge([one])[0] for one in corpus()]


def test_no_message_that_the_fuzzer_makes_breaks_a_promise() -> None:
    done = fuzz(1, lambda messages: messages >= MESSAGES)
    assert all(len(fuzzer.seen) > 10 for fuzzer in done)


def test_the_same_seed_makes_the_same_messages() -> None:
    def pools(seed: int) -> list[list[bytes]]:
        return [fuzzer.pool for fuzzer in fuzz(seed, lambda messages: messages >= 800)]

    assert pools(5) == pools(5)
    assert pools(5) != pools(6)


def rounds_decimals() -> AbstractContextManager[object]:
    """The exact way reads a decimal by way of a double; the bulk way leaves long ones to it."""

    def by_double(text: str, precision: int, scale: int) -> object:
        return unscaled(str(round(float(text), scale)) if "." in text else text, precision, scale)

    unscaled = ingest.contracts.fit._unscaled
    return patch.object(ingest.contracts.fit, "_unscaled", by_double)


def takes_nan() -> AbstractContextManager[object]:
    """The exact way takes what is no JSON, and the bulk way leaves it to that."""
    lenient = json.JSONDecoder(
        object_pairs_hook=Members, parse_float=Number, parse_int=Number, parse_constant=Number
    )
    return patch.object(ingest.contracts.json_text, "_PARSER", lenient)


def overlooks_what_is_no_text() -> AbstractContextManager[object]:
    """The bulk way takes DuckDB's text of a number for a string."""
    return patch.object(BulkDecoder, "_strings_fit", lambda _, __, ___, row: row | True)


def lets_a_double_swallow_digits() -> AbstractContextManager[object]:
    """The bulk way trusts DuckDB with every number."""
    return patch.multiple(lake.writer.bulk_sql, _MANY_DIGITS=NEVER, _TINY=NEVER)


@pytest.mark.parametrize(
    "mutant",
    [
        rounds_decimals,
        takes_nan,
        overlooks_what_is_no_text,
        lets_a_double_swallow_digits,
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_the_fuzzer_finds_a_decoder_that(
    mutant: Callable[[], AbstractContextManager[object]],
) -> None:
    with mutant(), pytest.raises(Broken) as found:
        fuzz(1, lambda messages: messages >= MESSAGES)
    assert found.value.payload is not None
    assert len(found.value.payload) < 600


def test_what_is_found_is_told_with_its_seed_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.fuzz.fuzzer.HERE", tmp_path)
    monkeypatch.setattr("tests.fuzz.fuzzer.corpus", list)
    with takes_nan():
        assert main(["--seed", "3", "--seconds", "60"]) == 1
    told = capsys.readouterr().out
    assert "seed 3, message: b" in told
    assert "kept in" in told


def test_a_judge_notices_that_a_message_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(contracts()[0])
    decode = judge._decoder.decode

    def losing(messages: object) -> object:
        decoded = decode(messages)  # type: ignore[arg-type]
        object.__setattr__(decoded, "dead", decoded.dead.filter(pa.array([False])))
        return decoded

    monkeypatch.setattr(judge._decoder, "decode", losing)
    with pytest.raises(Broken, match="lost or doubled"):
        judge.judge([b"{"])
