"""The SQL that reads a field of an overlay from the JSON that silver keeps.

What fits is what ``ingest.contracts.fit`` says fits, value for value; anything else is null in the
column and is still in the JSON. The JSON is in lakeward's normal form (docs/concepts/decoding.md):
a number is its shortest form or as it was written, so integers and decimals are taken only if
DuckDB gives the very digits that are there. Nothing depends on the time zone of the session.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ingest.contracts.json_text import quoted
from ingest.contracts.model import Contract
from ingest.contracts.overlay import Overlay, OverlayField
from lake.duck import quote_name, quote_text

_DATE: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIMESTAMP: Final = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
    r"(\.[0-9]{1,6})?[0-9]{0,3}([Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)?"
)
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999
"""The years 1 to 9999 in UTC, in microseconds since 1970."""
_WHOLE: Final = r"(-?[0-9]{1,19})(?:\.0)?"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"


def silver_name(contract: str) -> str:
    """Return the silver table of a contract's events."""
    return f"stg_{contract}"


def computed_columns(
    overlays: Mapping[str, Overlay],
    contracts: Mapping[str, Contract],
    columns: Mapping[str, Collection[str]],
) -> dict[str, dict[str, str]]:
    """Return the SQL of each shown field, by silver table and name.

    Args:
        overlays: by contract.
        contracts: by name; an overlay on one that is gone shows nothing.
        columns: of each silver table; a field whose JSON the table does not keep is left out.
    """
    found: dict[str, dict[str, str]] = {}
    for name, overlay in overlays.items():
        table = silver_name(name)
        if name not in contracts or table not in columns:
            continue
        for field in overlay.columns:
            column, path = field.kept_in(contracts[name])
            if column in columns[table] and field.name not in columns[table]:
                found.setdefault(table, {})[field.name] = expression(field, column, path)
    return found


def expression(field: OverlayField, column: str, path: tuple[str, ...]) -> str:
    """Return the SQL expression for a field whose JSON is in a column."""
    pointer = quote_text("".join("/" + _escaped(member) for member in path))
    json = f"{quote_name(column)}::VARCHAR"
    text = f"json_extract({json}, {pointer})::VARCHAR"
    inner = f"json_extract_string({json}, {pointer})"
    is_text = f"starts_with({text}, '\"')"
    match field.kind:
        case "string":
            value = f"CASE WHEN {is_text} THEN {inner} END"
        case "boolean":
            value = f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "integer":
            whole = f"regexp_extract({text}, {quote_text(_WHOLE)}, 1)"
            fitting = _matching(text, _WHOLE, f"try_cast({whole} AS BIGINT)")
            value = f"CASE WHEN {_is_verbatim(json, text, path[-1])} THEN {fitting} END"
        case "number":
            double = f"try_cast({text} AS DOUBLE)"
            value = _matching(text, _NUMBER, f"CASE WHEN isfinite({double}) THEN {double} END")
        case "decimal":
            kept = f"{is_text} OR {_is_verbatim(json, text, path[-1])}"
            value = f"CASE WHEN {kept} THEN {_decimal(field, inner)} END"
        case "timestamp":
            value = f"CASE WHEN {is_text} THEN {_timestamp(inner)} END"
        case "date":
            day = _matching(inner, _DATE, f"try_cast({inner} AS DATE)")
            value = f"CASE WHEN {is_text} AND NOT starts_with({inner}, '0000') THEN {day} END"
        case _:
            raise ValueError(f"an overlay has no fields of kind {field.kind}")
    return f"CASE WHEN json_valid({json}) THEN {value} END"


def _is_verbatim(json: str, text: str, member: str) -> str:
    """Tell whether a number is in the JSON as DuckDB gives it, to the digit."""
    name = quote_text(quoted(member) + ":")
    ends = (f"contains({json}, {name} || {text} || {quote_text(end)})" for end in (",", "}"))
    return f"({' OR '.join(ends)})"


def _decimal(field: OverlayField, inner: str) -> str:
    """Zeros at the end count for nothing."""
    before = field.precision - field.scale
    whole = "0" if before == 0 else f"(?:0|[1-9][0-9]{{0,{before - 1}}})"
    after = rf"(?:\.[0-9]{{1,{field.scale}}}0*)?" if field.scale else r"(?:\.0+)?"
    cast = f"try_cast({inner} AS DECIMAL({field.precision}, {field.scale}))"
    return _matching(inner, f"-?{whole}{after}", cast)


def _timestamp(inner: str) -> str:
    """Without an offset it is UTC, whatever the session's zone; cut off below the microsecond."""

    def part(number: int) -> str:
        return f"regexp_extract({inner}, {quote_text('^' + _TIMESTAMP + '$')}, {number})"

    offset = f"CASE WHEN {part(4)} = '' THEN 'Z' ELSE upper({part(4)}) END"
    whole = f"{part(1)} || 'T' || {part(2)} || {part(3)} || {offset}"
    value = f"try_cast({whole} AS TIMESTAMPTZ)"
    in_range = f"epoch_us({value}) BETWEEN {_FIRST_US} AND {_LAST_US}"
    return _matching(inner, _TIMESTAMP, f"CASE WHEN {in_range} THEN {value} END")


def _matching(text: str, pattern: str, value: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, {quote_text(pattern)}) THEN {value} END"


def _escaped(member: str) -> str:
    return member.replace("~", "~0").replace("/", "~1")
