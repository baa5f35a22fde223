"""An example of a message, made from what the contract itself says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ingest.contracts.model import Contract, Field, FieldKind

_SAMPLES: dict[FieldKind, Any] = {
    "boolean": True,
    "timestamp": "2026-03-01T09:30:00.250Z",
    "date": "2026-03-01",
    "map": {"key": "value"},
    "json": {"key": "value"},
}


def sample_payload(contract: Contract) -> dict[str, Any]:
    """Return a payload with every member, by payload name; the same one each time."""
    return {field.payload_name: _sample(field) for field in contract.fields}


def _sample(field: Field) -> Any:
    if field.kind in _SAMPLES:
        return _SAMPLES[field.kind]
    if field.kind == "string":
        given = (*field.allowed, *field.examples)
        return given[0] if given else f"{field.name}-1"
    return _number(field)


def _number(field: Field) -> int | float:
    """Return the first example, or a number within the bounds, that the kind can hold."""
    least = field.minimum if field.minimum is not None else field.maximum
    value = float(field.examples[0]) if field.examples else least or 0.0
    if field.kind == "integer":
        return int(value)
    if field.kind == "decimal":
        return float(round(Decimal(str(value)), field.scale))
    return value
