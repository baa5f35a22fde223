# ruff: noqa: S608 - every part of the SQL is a constant or a quoted literal
"""The one DuckDB query that decodes a batch, built from a contract.

DuckDB's JSON functions are more lenient than ``lake.writer.exact``: they take NaN and trailing
commas, keep the first of repeated members, round numbers, turn anything into text, and drop
the offset of a timestamp. So each column is taken as text, is matched against the shape that an
exact value has, and only then cast. What does not match comes out null and is marked unfit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from ingest.contracts.model import Contract, Field
from lake.writer.json_text import MAX_DEPTH

BATCH: Final = "batch"
"""The name under which the query finds the batch: a table with one text column ``v``."""

SEPARATOR: Final = "\x1f"
"""Between the member names in ``keys``: must be escaped inside a name, so is no part of most."""

_AS_TEXT: Final = frozenset({"string", "timestamp", "date"})
"""Kinds taken as unquoted text; the others as JSON text, which tells ``"1"`` from ``1``."""

_TRAILING_COMMA: Final = r",[ \t\r\n]*[}\]]"
_DIGITS_OF_A_DOUBLE: Final = 15
"""A number with so many digits survives a double unchanged, unless it is tiny."""

_MANY_DIGITS: Final = "|".join(
    [rf"[0-9]{{{n}}}\.[0-9]{{{_DIGITS_OF_A_DOUBLE + 1 - n}}}" for n in range(1, 16)]
    + [rf"[0-9]{{{_DIGITS_OF_A_DOUBLE + 1}}}[.eE]"]
)
_TINY: Final = "[0-9][eE]-[0-9]{3}"

_NOT_FINITE: Final = r"(?i)(^|[:\[,])-?(nan|inf)"

_TIMESTAMP: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,6}0{0,3})?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
)
_FIRST_MOMENT: Final = "TIMESTAMPTZ '0001-01-01 00:00:00Z'"
_LAST_MOMENT: Final = "TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_STRING: Final = r'"([^"\\]|\\.)*"'
_MAP: Final = rf"(?s)\{{({_STRING}:({_STRING}|null)(,{_STRING}:({_STRING}|null))*)?\}}"


def bulk_query(contract: Contract) -> str:
    """Return the query over ``BATCH``; its rows are the batch's, in order.

    Columns: ``members`` (how many the object has; null if this is no JSON), ``keys`` (their
    names joined), ``odd`` (only the exact way can tell), ``unfit`` (some typed member does not
    fit), then ``c0``, ``c1``... in the contract's order.
    """
    types = {f.payload_name: "VARCHAR" if f.kind in _AS_TEXT else "JSON" for f in contract.fields}
    position = {name: number for number, name in enumerate(types, start=1)}
    raw = [f"struct_extract_at(r, {position[f.payload_name]})::VARCHAR" for f in contract.fields]
    typed = [(n, f) for n, f in enumerate(contract.fields) if f.kind != "string"]
    unfit = " OR ".join(f"(t{n} IS NOT NULL AND c{n} IS NULL)" for n, _ in typed) or "false"
    texts = _listed(f"{text} AS t{n}" for n, text in enumerate(raw))
    values = _listed(f"{_cast(f, f't{n}')} AS c{n}" for n, f in enumerate(contract.fields))
    columns = _listed(f"c{n}" for n in range(len(raw)))
    valid = f"SELECT CASE WHEN json_valid(v) THEN v END AS j FROM {BATCH}"
    read = (
        f"SELECT json_keys(j) AS k, json_transform(j, {_literal(json.dumps(types))}) AS r, "
        f"regexp_matches(j, {_literal(_odd(contract))}) AS odd FROM ({valid})"
    )
    split = (
        f"SELECT len(k) AS members, array_to_string(k, {_literal(SEPARATOR)}) AS keys, "
        f"odd, {texts} FROM ({read})"
    )
    return (
        f"SELECT members, keys, coalesce(odd, true) AS odd, {unfit} AS unfit, {columns} "
        f"FROM (SELECT *, {values} FROM ({split}))"
    )


def _odd(contract: Contract) -> str:
    patterns = [_TRAILING_COMMA]
    if any(field.kind in {"decimal", "json"} for field in contract.fields):
        patterns += [_MANY_DIGITS, _TINY]
    return "|".join(patterns)


def _cast(field: Field, text: str) -> str:
    """Return the expression that makes ``text`` a value, or null if it does not surely fit."""
    match field.kind:
        case "string":
            return text
        case "json":
            return f"CASE WHEN {_shallow(text)} AND {_finite(text)} THEN {text} END"
        case "boolean":
            return f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "number":
            number = f"try_cast({text} AS DOUBLE)"
            return f"CASE WHEN isfinite({number}) THEN {number} END"
        case "integer":
            return _matching(text, "-?[0-9]{1,19}", f"try_cast({text} AS BIGINT)")
        case "decimal":
            return _decimal(field, text)
        case "timestamp":
            moment = f"try_cast({text} AS TIMESTAMPTZ)"
            in_range = f"{moment} BETWEEN {_FIRST_MOMENT} AND {_LAST_MOMENT}"
            return _matching(text, _TIMESTAMP, f"CASE WHEN {in_range} THEN {moment} END")
        case "date":
            day = f"try_cast({text} AS DATE)"
            return _matching(text, _DATE, f"CASE WHEN {day} >= DATE '0001-01-01' THEN {day} END")
        case "map":
            names = f"json_keys({text})"
            unique = f"len({names}) = len(list_distinct({names}))"
            made = f"from_json({text}, '\"MAP(VARCHAR,VARCHAR)\"')"
            return _matching(text, _MAP, f"CASE WHEN {unique} THEN {made} END")


def _shallow(text: str) -> str:
    brackets = f"strlen({text}) - strlen(replace(replace({text}, '[', ''), '{{', ''))"
    return f"(strlen({text}) < {2 * MAX_DEPTH} OR {brackets} < {MAX_DEPTH})"


def _finite(text: str) -> str:
    return f"NOT regexp_matches({text}, {_literal(_NOT_FINITE)})"


def _decimal(field: Field, text: str) -> str:
    whole = field.precision - field.scale
    before = "0" if whole == 0 else f"(0|[1-9][0-9]{{0,{whole - 1}}})"
    # DuckDB writes every number that is no integer with a point, so .0 is a whole number.
    after = rf"(\.[0-9]{{1,{field.scale}}})?" if field.scale else ""
    value = f"try_cast(trim({text}, '\"') AS DECIMAL({field.precision}, {field.scale}))"
    return _matching(text, f'"?-?{before}{after}"?', value)


def _matching(text: str, pattern: str, value: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, {_literal(pattern)}) THEN {value} END"


def _listed(expressions: Iterable[str]) -> str:
    return ", ".join(expressions)


def is_string_query(payload_names: Iterable[str]) -> str:
    """Return the query over ``BATCH`` that tells strings from what merely reads like one.

    Its one column ``fits`` is true where each of these members is a string, null or absent. The
    batch must hold JSON objects only.
    """
    types = dict.fromkeys(payload_names, "JSON")
    checks = (
        f"coalesce(starts_with(struct_extract_at(r, {n})::VARCHAR, '\"'), true)"
        for n in range(1, len(types) + 1)
    )
    transformed = f"json_transform(v, {_literal(json.dumps(types))})"
    return f"SELECT {' AND '.join(checks)} AS fits FROM (SELECT {transformed} AS r FROM {BATCH})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
