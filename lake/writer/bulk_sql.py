"""The DuckDB queries that decode a batch, built from a contract.

DuckDB's JSON functions are more lenient than ``ingest.contracts.exact``: they take NaN and trailing
commas, keep the first of repeated members, round numbers, turn anything into text, and let a
double swallow digits. So each column is taken as text, is matched against the shape that an
exact value has, and only then cast. What does not match comes out null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from ingest.contracts.json_text import MAX_DEPTH
from ingest.contracts.model import Contract, Field

BATCH: Final = "batch"
"""The name under which a query finds the batch: a table with one text column ``v``."""

SEPARATOR: Final = "\x1f"
"""Between the member names in ``keys``; a name that contains it shows in ``members``."""

_AS_TEXT: Final = frozenset({"string", "timestamp", "date"})
"""Kinds taken as unquoted text; the others as JSON text, which tells ``"1"`` from ``1``."""

_TRAILING_COMMA: Final = r",[ \t\r\n]*[}\]]"
_DIGITS_OF_A_DOUBLE: Final = 15
"""A number with so many digits survives a double unchanged, unless it is tiny."""

_MANY_DIGITS: Final = "|".join(
    [rf"[0-9]{{{n}}}\.[0-9]{{{_DIGITS_OF_A_DOUBLE + 1 - n}}}" for n in range(1, 16)]
    + [rf"[0-9]{{{_DIGITS_OF_A_DOUBLE + 1}}}[.eE]"]
)
_TINY: Final = r"[:\[,\s]-?[0-9.]+[eE]-[0-9]{3}"
_NOT_FINITE: Final = r"(?i)(^|[:\[,\s])-?(nan|inf|infinity)($|[\s,}\]])"

_DATE: Final = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
"""Years whose time zone cannot lead out of those that Python knows."""

_TIMESTAMP: Final = (
    rf"{_DATE}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
)
BELOW_MICROSECOND: Final = r"\.[0-9]{6}0*[1-9]"
"""Found in the text of a timestamp that its column cannot hold whole."""

_QUOTES: Final = '""'
_BEYOND: Final = 2**40
"""Bytes; no message has so many."""

_SHORTEST_FINER: Final = len("2025-06-30T12:00:00.1234567")
_QUICK_PRECISION: Final = 18
"""Digits up to which DuckDB casts text to a decimal some fifty times quicker."""

_STRING: Final = r'"([^"\\]|\\.)*"'
_MAP: Final = rf"(?s)\{{({_STRING}:({_STRING}|null)(,{_STRING}:({_STRING}|null))*)?\}}"


def values_query(contract: Contract, *, guarded: bool) -> str:
    """Return the query for the values of a batch; its rows are the batch's, in order.

    Columns: ``counted`` (see ``_counted``), ``unfit`` (some typed member may not fit), ``finer``
    (some timestamp has digits below the microsecond), then ``c0``, ``c1``... in the contract's
    order. Unguarded it is quicker, and fails as a whole if one message is no JSON.
    """
    types = {f.payload_name: "VARCHAR" if f.kind in _AS_TEXT else "JSON" for f in contract.fields}
    fields = list(enumerate(contract.fields))
    unfit = _any(f"(t{n} IS NOT NULL AND c{n} IS NULL)" for n, f in fields if f.kind != "string")
    finer = _any(
        f"CASE WHEN strlen(t{n}) >= {_SHORTEST_FINER} "
        f"THEN regexp_matches(t{n}, {_literal(BELOW_MICROSECOND)}) ELSE false END"
        for n, f in fields
        if f.kind == "timestamp"
    )
    texts = _listed(f"struct_extract_at(r, {n + 1})::VARCHAR AS t{n}" for n, _ in fields)
    values = _listed(f"{_cast(f, f't{n}')} AS c{n}" for n, f in fields)
    columns = _listed(f"c{n}" for n, _ in fields)
    counted = " + ".join(
        f"CASE WHEN c{n} IS NULL THEN 0 ELSE {_counted(f, f't{n}')} END"
        for n, f in fields
        if f.kind != "string"
    )
    valid = "CASE WHEN json_valid(v) THEN v END" if guarded else "v"
    read = f"SELECT {_transformed(valid, types)} AS r FROM {BATCH}"
    return (
        f"SELECT {counted or '0'} AS counted, {unfit} AS unfit, {finer} AS finer, {columns} "
        f"FROM (SELECT *, {values} FROM (SELECT {texts} FROM ({read})))"
    )


def members_query(contract: Contract) -> str:
    """Return the query for what the values of JSON objects do not tell.

    Columns: ``members`` (how many the object has; null if there is no JSON) and ``odd`` (only the
    exact way can tell).
    """
    odd = [_TRAILING_COMMA]
    if any(field.kind in {"decimal", "json"} for field in contract.fields):
        odd += [_MANY_DIGITS, _TINY]
    return (
        f"SELECT len(json_keys(v)) AS members, "
        f"regexp_matches(v, {_literal('|'.join(odd))}) AS odd FROM {BATCH}"
    )


def bytes_around(field: Field) -> int:
    """Return the bytes that a member of a compact object takes beside those of its value."""
    return len(json.dumps(field.payload_name, ensure_ascii=False).encode()) + len(":,")


def _counted(field: Field, text: str) -> str:
    """Return the expression for the bytes that a member of this value takes at least.

    Where DuckDB's text of a value may be longer than what the message has (``1e5`` comes out as
    ``100000.0``, and what is nested is written anew) it is more than any message has bytes.
    """
    around = bytes_around(field)
    match field.kind:
        case "timestamp" | "date":
            return f"strlen({text}) + {around + len(_QUOTES)}"
        case "boolean":
            return f"strlen({text}) + {around}"
        case "integer" | "number" | "decimal":
            plain = (
                f"strlen({text}) < {_DIGITS_OF_A_DOUBLE + 2} AND NOT ends_with({text}, '.0') "
                f"AND NOT contains({text}, '0.00')"
            )
            return f"CASE WHEN {plain} THEN strlen({text}) + {around} ELSE {_BEYOND} END"
        case _:
            return str(_BEYOND)


def strings_query(payload_names: Iterable[str]) -> str:
    """Return the query that tells strings from what merely reads like one, for JSON objects.

    Its one column ``fits`` is true where each of these members is a string, null or absent.
    """
    types = dict.fromkeys(payload_names, "JSON")
    checks = (
        f"coalesce(starts_with(struct_extract_at(r, {n})::VARCHAR, '\"'), true)"
        for n in range(1, len(types) + 1)
    )
    read = f"SELECT {_transformed('v', types)} AS r FROM {BATCH}"
    return f"SELECT {' AND '.join(checks)} AS fits FROM ({read})"


def names_query() -> str:
    """Return the query for the member names of JSON objects: ``keys``, joined, and ``members``."""
    return (
        f"SELECT len(k) AS members, array_to_string(k, {_literal(SEPARATOR)}) AS keys "
        f"FROM (SELECT json_keys(v) AS k FROM {BATCH})"
    )


def texts_query(names: Iterable[str]) -> str:
    """Return the query for the JSON text of these members of JSON objects: ``t0``, ``t1``...

    Null is null or absent. ``odd`` is true where some number would not be kept to the digit, or
    where what is nested in the message is not surely JSON.
    """
    types = dict.fromkeys(names, "JSON")
    texts = _listed(f"struct_extract_at(r, {n + 1})::VARCHAR AS t{n}" for n in range(len(types)))
    patterns = "|".join([_TRAILING_COMMA, _MANY_DIGITS, _TINY, _NOT_FINITE])
    odd = f"regexp_matches(v, {_literal(patterns)}) OR NOT {_shallow('v')}"
    read = f"SELECT {_transformed('v', types)} AS r, {odd} AS odd FROM {BATCH}"
    return f"SELECT odd, {texts} FROM ({read})"


def _cast(field: Field, text: str) -> str:
    """Return the expression that makes ``text`` a value, or null if it does not surely fit."""
    match field.kind:
        case "string":
            return text
        case "json":
            finite = f"NOT regexp_matches({text}, {_literal(_NOT_FINITE)})"
            return f"CASE WHEN {_shallow(text)} AND {finite} THEN {text} END"
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
            return _matching(text, _TIMESTAMP, f"try_cast({text} AS TIMESTAMPTZ)")
        case "date":
            return _matching(text, _DATE, f"try_cast({text} AS DATE)")
        case "map":
            names = f"json_keys({text})"
            unique = f"len({names}) = len(list_distinct({names}))"
            made = f"from_json({text}, '\"MAP(VARCHAR,VARCHAR)\"')"
            return _matching(text, _MAP, f"CASE WHEN {unique} THEN {made} END")


def _decimal(field: Field, text: str) -> str:
    whole = field.precision - field.scale
    before = "0" if whole == 0 else f"(0|[1-9][0-9]{{0,{whole - 1}}})"
    after = rf"(\.[0-9]{{1,{field.scale}}})?" if field.scale else ""
    bare, kind = f"trim({text}, '\"')", f"DECIMAL({field.precision}, {field.scale})"
    value = f"try_cast({bare} AS {kind})"
    if field.precision > _QUICK_PRECISION > field.scale:
        quick = f"try_cast({bare} AS DECIMAL({_QUICK_PRECISION}, {field.scale}))"
        value = f"coalesce({quick}::{kind}, {value})"
    return _matching(text, f'"?-?{before}{after}"?', value)


def _shallow(text: str) -> str:
    brackets = f"strlen({text}) - strlen(replace(replace({text}, '[', ''), '{{', ''))"
    return f"(strlen({text}) < {2 * MAX_DEPTH} OR {brackets} < {MAX_DEPTH})"


def _matching(text: str, pattern: str, value: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, {_literal(pattern)}) THEN {value} END"


def _transformed(text: str, types: dict[str, str]) -> str:
    return f"json_transform({text}, {_literal(json.dumps(types))})"


def _any(conditions: Iterable[str]) -> str:
    return " OR ".join(conditions) or "false"


def _listed(expressions: Iterable[str]) -> str:
    return ", ".join(expressions)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
