"""Reading the fields of a contract file: ODCS ``schema.properties``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ingest.contracts.document import Node
from ingest.contracts.model import Field, FieldKind
from ingest.contracts.odcs import (
    DECIMAL,
    FLOATS,
    KINDS,
    LOGICAL_TYPES,
    MAX_PRECISION,
    PII,
    PROPERTY_KEYS,
)
from ingest.contracts.reading import Keys, Reader

KEYABLE: frozenset[FieldKind] = frozenset(
    {"string", "integer", "decimal", "boolean", "timestamp", "date"}
)
"""Kinds whose equality is exact, so that they can identify an event."""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """A field and where it stands in the file."""

    field: Field
    node: Node
    key_position: int | None
    """Its place in the key, None when it is no part of it."""


def read_fields(read: Reader, table_node: Node, table: Keys, name: str) -> list[FieldEntry]:
    """Return the fields of the table ``name``, in the order of the file."""
    listed = table.get("properties")
    if listed is None or not isinstance(listed.value, list) or not listed.value:
        read.wrong(listed or table_node, f"{name}.properties", "expected a list of fields")
        return []
    found: list[FieldEntry] = []
    names: dict[str, int] = {}
    members: dict[str, int] = {}
    for index, item in enumerate(listed.value):
        place = f"{name}.{_named(item) or f'properties[{index}]'}"
        keys = read.mapping(item, place, PROPERTY_KEYS)
        column = None if keys is None else read.text(item, keys, "name", place)
        if keys is None or column is None:
            continue
        where = f"{name}.{column}"
        read.identifier(keys["name"], where, column)
        field = _field(read, item, keys, where)
        _refuse_repeat(read, keys["name"], where, "column", column, names)
        at = keys.get("physicalName", keys["name"])
        _refuse_repeat(read, at, where, "payload member", field.payload_name, members)
        position = _key_position(read, item, keys, field, where, len(listed.value) + index)
        found.append(FieldEntry(field, item, position))
    return found


def _named(item: Node) -> str | None:
    """The name of a field before anything else about it is known to be right."""
    name = item.value.get("name") if isinstance(item.value, dict) else None
    return name.value if name is not None and isinstance(name.value, str) else None


def _refuse_repeat(
    read: Reader, node: Node, where: str, what: str, name: str, seen: dict[str, int]
) -> None:
    if name in seen:
        read.wrong(node, where, f"expected each {what} once, `{name}` is in line {seen[name]} too")
    else:
        seen[name] = node.line


def _key_position(
    read: Reader, item: Node, keys: Keys, field: Field, where: str, unstated: int
) -> int | None:
    if not read.flag(keys, "primaryKey", where):
        return None
    if not field.required:
        read.wrong(item, where, "expected `required: true`, it is part of the key")
    if field.kind not in KEYABLE:
        read.wrong(item, where, f"expected a type that can identify an event, not {field.kind}")
    stated = keys.get("primaryKeyPosition")
    if stated is None:
        return unstated
    position = read.positive(stated)
    if position is None:
        message = f"expected a whole number of at least 1, found {stated.described}"
        read.wrong(stated, f"{where}.primaryKeyPosition", message)
    return position


def _field(read: Reader, item: Node, keys: Keys, where: str) -> Field:
    name = keys["name"].raw
    kind, precision, scale = _kind(read, item, keys, where)
    minimum, maximum = _bounds(read, keys, where, kind)
    unit = read.custom(keys.get("customProperties"), f"{where}.customProperties").get("unit")
    classification = keys.get("classification")
    examples = keys.get("examples")
    listed = examples.value if examples is not None else None
    return Field(
        name=name,
        payload_name=read.optional_text(keys, "physicalName", where) or name,
        kind=kind,
        required=read.flag(keys, "required", where),
        description=read.prose(keys.get("description")),
        unit=None if unit is None else unit.raw,
        allowed=_allowed(read, keys.get("enum"), where, kind),
        pii=classification is not None and classification.raw.lower() == PII,
        precision=precision,
        scale=scale,
        examples=tuple(e.raw for e in listed if e.raw) if isinstance(listed, list) else (),
        minimum=minimum,
        maximum=maximum,
    )


def _kind(read: Reader, item: Node, keys: Keys, where: str) -> tuple[FieldKind, int, int]:
    """Return the kind, and the precision and scale that a decimal has."""
    logical = read.one_of(item, keys, "logicalType", LOGICAL_TYPES, where)
    kind = KINDS.get(logical or "", "string")
    physical = keys.get("physicalType")
    if kind == "number" and physical is not None and physical.raw.strip().lower() not in FLOATS:
        return "decimal", *_decimal(read, physical, f"{where}.physicalType")
    if kind == "map":
        _check_map(read, keys, f"{where}.map")
    return kind, MAX_PRECISION, 0


def _decimal(read: Reader, physical: Node, where: str) -> tuple[int, int]:
    found = DECIMAL.fullmatch(physical.raw.strip())
    if found is not None:
        precision, scale = int(found[1]), int(found[2])
        if 1 <= precision <= MAX_PRECISION and scale <= precision:
            return precision, scale
    read.wrong(
        physical,
        where,
        f"expected `double`, or `decimal(digits, scale)` with at most {MAX_PRECISION} digits "
        f"and a scale of at most that, found {physical.described}",
    )
    return MAX_PRECISION, 0


def _check_map(read: Reader, keys: Keys, where: str) -> None:
    declared = keys.get("map")
    if declared is None or not isinstance(declared.value, dict):
        read.wrong(declared or keys["name"], where, "expected `key:` and `value:` of the map")
        return
    for side in ("key", "value"):
        part = declared.value.get(side)
        inner = part.value if part is not None and isinstance(part.value, dict) else {}
        logical = inner.get("logicalType")
        if logical is None or logical.raw != "string":
            message = (
                "expected `logicalType: string`; use `logicalType: object` for anything else, "
                "it keeps the JSON as it is"
            )
            read.wrong(logical or part or declared, f"{where}.{side}", message)


def _allowed(read: Reader, listed: Node | None, where: str, kind: FieldKind) -> tuple[str, ...]:
    if listed is None:
        return ()
    if kind != "string":
        read.wrong(listed, f"{where}.enum", f"expected none: only a string has one, not {kind}")
        return ()
    if listed.value == []:
        read.wrong(listed, f"{where}.enum", "expected at least one value")
    allowed: list[str] = []
    for place, entry in read.entries(listed, f"{where}.enum"):
        node = entry.get("value")
        if node is None or not isinstance(node.value, str):
            found = "nothing" if node is None else node.described
            quoted = f'; write "{node.raw}" in quotation marks' if node and node.raw else ""
            message = f"expected text, found {found}{quoted}"
            read.wrong(node or listed, f"{place}.value", message)
        elif node.value in allowed:
            read.wrong(node, f"{place}.value", f"expected each value once, `{node.raw}` is not")
        else:
            allowed.append(node.value)
    return tuple(allowed)


def _bounds(
    read: Reader, keys: Keys, where: str, kind: FieldKind
) -> tuple[float | None, float | None]:
    options = keys.get("logicalTypeOptions")
    where = f"{where}.logicalTypeOptions"
    if options is None:
        return None, None
    if not isinstance(options.value, dict):
        read.wrong(options, where, f"expected a mapping of keys, found {options.described}")
        return None, None
    if kind not in {"integer", "number", "decimal"}:
        return None, None
    minimum = _number(read, options.value.get("minimum"), f"{where}.minimum")
    maximum = _number(read, options.value.get("maximum"), f"{where}.maximum")
    if minimum is not None and maximum is not None and minimum > maximum:
        read.wrong(options, where, "expected a minimum that is not above the maximum")
    return minimum, maximum


def _number(read: Reader, node: Node | None, where: str) -> float | None:
    if node is None:
        return None
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    read.wrong(node, where, f"expected a number, found {node.described}")
    return None
