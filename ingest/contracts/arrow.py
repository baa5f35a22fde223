"""The Arrow schema of a contract: the columns that its payload fills."""

from __future__ import annotations

import pyarrow as pa

from ingest.contracts.model import Contract, Field, FieldKind

_TYPES: dict[FieldKind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "map": pa.map_(pa.string(), pa.string()),
    "json": pa.string(),
}


def arrow_type(field: Field) -> pa.DataType:
    """Return the Arrow type that keeps a field's values; times are microseconds in UTC."""
    if field.kind == "decimal":
        return pa.decimal128(field.precision, field.scale)
    return _TYPES[field.kind]


def payload_schema(contract: Contract) -> pa.Schema:
    """Return the contract's own columns, in its order.

    All are nullable, required ones too: a message that lacks a required value never becomes a
    row, and a nullable column is what lets a later version of the contract relax it.
    """
    return pa.schema([pa.field(field.name, arrow_type(field)) for field in contract.fields])
