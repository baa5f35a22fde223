"""The JSON Schema of a contract's payload: what a producer may send."""

from __future__ import annotations

from typing import Any

from ingest.contracts.model import Contract, Field, FieldKind

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIMESTAMP = (
    rf"^{_DATE}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,9}})?"
    r"([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?$"
)
"""ISO 8601 to the second or finer. Not ``format: date-time``: that asks for an offset."""

_TYPES: dict[FieldKind, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "pattern": _TIMESTAMP},
    "date": {"type": "string", "format": "date", "pattern": f"^{_DATE}$"},
    "map": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "json": {},
}


def payload_json_schema(contract: Contract) -> dict[str, Any]:
    """Return a JSON Schema (2020-12) by the members of the payload, not by columns.

    Members that the contract does not name are allowed: bronze keeps them in ``_rescued``. A
    value below ``minimum`` or above ``maximum`` is a matter for expectations, not of the schema.
    """
    return {
        "$schema": DIALECT,
        "$id": f"urn:lakeward:contract:{contract.name}:{contract.version}",
        "title": contract.name,
        "description": contract.description,
        "type": "object",
        "required": [field.payload_name for field in contract.fields if field.required],
        "properties": {field.payload_name: _property(field) for field in contract.fields},
    }


def _property(field: Field) -> dict[str, Any]:
    schema = dict(_decimal(field) if field.kind == "decimal" else _TYPES[field.kind])
    if field.allowed:
        schema["enum"] = list(field.allowed)
    if not field.required:
        schema = _or_null(schema)
    if field.description:
        schema["description"] = field.description
    return schema


def _decimal(field: Field) -> dict[str, Any]:
    """A JSON number, or text for a producer whose JSON library would round it.

    How many decimals a number has is not said: ``multipleOf`` 0.01 refuses 0.07, which is no
    multiple of it in binary. A number with too many is rescued by the writer.
    """
    digits = field.precision - field.scale
    whole = f"(0|[1-9][0-9]{{0,{digits - 1}}})" if digits else "0"
    fraction = rf"(\.[0-9]{{1,{field.scale}}})?" if field.scale else ""
    bound = 10**digits
    return {
        "type": ["number", "string"],
        "pattern": f"^-?{whole}{fraction}$",
        "exclusiveMinimum": -bound,
        "exclusiveMaximum": bound,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null."""
    loose = dict(schema)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        loose["type"] = [*kinds, "null"]
    if "enum" in schema:
        loose["enum"] = [*schema["enum"], None]
    return loose
