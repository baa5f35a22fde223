"""The JSON Schema of a contract's payload: what a producer may send."""

from __future__ import annotations

from typing import Any

from ingest.contracts.model import Contract, Field, FieldKind

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES: dict[FieldKind, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
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
    """A JSON number, or text for a producer whose JSON library would round it."""
    whole = field.precision - field.scale
    fraction = rf"(\.[0-9]{{0,{field.scale}}}0*)?" if field.scale else r"(\.0*)?"
    return {"type": ["number", "string"], "pattern": rf"^-?0*[0-9]{{1,{max(whole, 1)}}}{fraction}$"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null."""
    loose = dict(schema)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        loose["type"] = [*kinds, "null"]
    if "enum" in schema:
        loose["enum"] = [*schema["enum"], None]
    return loose
