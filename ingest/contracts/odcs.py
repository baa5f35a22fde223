"""The parts of the Open Data Contract Standard v3 that lakeward reads, and the keys it knows.

Source: https://bitol-io.github.io/open-data-contract-standard/ and its published JSON Schema.
Keys that the standard has but lakeward does not read are accepted and left to other tools; a
key that the standard does not have is a typing error, and a typing error in ``required`` must
not quietly make a field optional.
"""

from __future__ import annotations

import re
from typing import Final

from ingest.contracts.model import FieldKind

API_VERSIONS: Final = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")

_ELEMENT_KEYS: Final = frozenset(
    {
        "id", "name", "physicalType", "description", "businessName", "deprecated", "synonyms",
        "authoritativeDefinitions", "tags", "customProperties", "logicalType", "physicalName",
        "relationships", "quality",
    }
)  # fmt: skip

CONTRACT_KEYS: Final = frozenset(
    {
        "apiVersion", "authoritativeDefinitions", "context", "contractCreatedTs",
        "customProperties", "dataProduct", "description", "domain", "id", "kind", "name",
        "price", "roles", "schema", "servers", "slaDefaultElement", "slaProperties", "status",
        "support", "tags", "team", "tenant", "version",
    }
)  # fmt: skip

OBJECT_KEYS: Final = _ELEMENT_KEYS | {"dataGranularityDescription", "properties", "context"}

PROPERTY_KEYS: Final = _ELEMENT_KEYS | {
    "classification", "criticalDataElement", "encryptedName", "enum", "examples", "items",
    "logicalTypeOptions", "map", "partitionKeyPosition", "partitioned", "primaryKey",
    "primaryKeyPosition", "properties", "required", "semanticType", "transformDescription",
    "transformLogic", "transformSourceObjects", "unique",
}  # fmt: skip

CUSTOM_KEYS: Final = frozenset({"id", "property", "value", "description", "vendor"})

LOGICAL_TYPES: Final = (
    "string", "integer", "number", "boolean", "timestamp", "date", "map", "object", "array",
)  # fmt: skip

KINDS: Final[dict[str, FieldKind]] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "date": "date",
    "map": "map",
    "object": "json",
    "array": "json",
}
"""How each logical type is kept; ``number`` with a decimal physical type is a decimal."""

DECIMAL: Final = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)", re.IGNORECASE)
MAX_PRECISION: Final = 38
"""Delta's limit, and Arrow's for ``decimal128``."""

FLOATS: Final = frozenset({"double", "float", "float64", "real", "number"})
"""Physical types of a number that is kept as a 64-bit float."""

PII: Final = "pii"
"""The ``classification`` of personal data."""

DAYS: Final = {"d": 1, "day": 1, "days": 1, "y": 365, "yr": 365, "year": 365, "years": 365}
"""Days in each unit that a retention may be given in."""
