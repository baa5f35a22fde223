"""Rows as messages: SQL that gives the JSON text of a key and of a row.

Made by DuckDB, a column at a time, so that a million rows are seconds. The form is documented for
consumers in docs/guides/publish.md; who changes it raises ``FORM``, which sends every row again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from lake.duck import quote_name

FORM: Final = 1
MOMENT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
"""ISO 8601 in UTC, always with microseconds, so that text sorts as time does."""


def json_text(columns: Iterable[str], types: Mapping[str, str]) -> str:
    """Return the SQL of a JSON object of these columns, in this order.

    Args:
        columns: which of them.
        types: DuckDB's type of each.
    """
    members = ", ".join(f"{quote_name(one)} := {_value(one, types[one])}" for one in columns)
    return f"to_json(struct_pack({members}))::varchar"


def shape(key: Iterable[str], types: Mapping[str, str]) -> str:
    """Return a digest that changes with the key, the columns, their types, or the form."""
    described = json.dumps([FORM, list(key), list(types.items())])
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _value(name: str, kind: str) -> str:
    column = quote_name(name)
    if kind.startswith("DECIMAL"):
        return f"{column}::varchar"
    if kind in ("DOUBLE", "FLOAT"):
        return f"case when isfinite({column}) then {column} end"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column}, '{MOMENT}')"
    return column
