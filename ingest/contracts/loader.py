"""Reading one contract file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ingest.contracts.document import Node, Problems, read_document
from ingest.contracts.model import Contract, Field
from ingest.contracts.names import VERSION, is_topic, why_no_identifier
from ingest.contracts.odcs import (
    API_VERSIONS,
    CONTRACT_KEYS,
    CUSTOM_KEYS,
    DAYS,
    DECIMAL,
    KINDS,
    LOGICAL_TYPES,
    MAX_PRECISION,
    OBJECT_KEYS,
    PROPERTY_KEYS,
)

TENANT = "tenant_id"
"""The column that every contract must have: tables are read, kept and erased by tenant."""


def load_contract(path: Path, text: str | None = None) -> Contract:
    """Read the contract at ``path``, or ``text`` as if it stood there.

    Raises:
        ContractError: the file is wrong; the message has a line for each problem, as
            ``file:line: field: what is expected``.
    """
    root = read_document(path, text)
    problems = Problems(path)
    contract = _Reader(problems).contract(root, path)
    problems.raise_if_any()
    assert contract is not None
    return contract


class _Reader:
    """Reads the tree of one file; what is wrong goes to ``problems``, and reading goes on."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    # -- the contract ------------------------------------------------------------------------

    def contract(self, root: Node, path: Path) -> Contract | None:
        top = self._mapping(root, "contract", CONTRACT_KEYS)
        if top is None:
            return None
        self._one_of(root, top, "apiVersion", API_VERSIONS)
        self._one_of(root, top, "kind", ("DataContract",))
        self._text(root, top, "id", "contract")
        version = self._text(root, top, "version", "contract")
        if version and not VERSION.fullmatch(version):
            self._problem(top["version"], "version", "expected three numbers such as `1.0.0`")
        owner = self._owner(root, top)
        retention = self._retention(top)
        table = self._schema(root, top)
        if table is None:
            return None
        node, keys = table
        name = self._text(node, keys, "name", "schema")
        if name:
            self._check_name(keys["name"], "schema.name", name)
        topic = self._text(node, keys, "physicalName", "schema")
        if topic and not is_topic(topic):
            self._problem(
                keys["physicalName"],
                "schema.physicalName",
                f"expected a Kafka topic (letters, digits and . _ -), found `{topic}`",
            )
        rows = self._properties(node, keys, name or "schema")
        fields = tuple(field for _, _, field in rows)
        lines = {field.name: node for node, _, field in rows}
        custom = self._custom(keys.get("customProperties"), f"{name}.customProperties")
        key = self._key(node, rows, name or "schema")
        event_time = self._event_time(node, custom, fields)
        message_key = self._message_key(custom, fields, key)
        self._check_tenant(node, fields, lines, key)
        domain = top.get("domain")
        return Contract(
            name=name or "",
            version=version or "",
            topic=topic or "",
            owner=owner or "",
            description=self._description(keys.get("description")),
            fields=fields,
            key=key,
            event_time=event_time or "",
            message_key=message_key,
            path=path,
            grain=self._description(keys.get("dataGranularityDescription")),
            domain=domain.raw if domain is not None else None,
            retention_days=retention,
        )

    def _owner(self, root: Node, top: dict[str, Node]) -> str | None:
        """The owning team: its name, or its first member (the way of ODCS before 3.1)."""
        team = top.get("team")
        expected = "expected the owning team, as `team:` with a `name:` below it"
        if team is None:
            self._problem(root, "team", expected)
            return None
        members = team.value
        if isinstance(members, list):
            first = members[0] if members else None
            names = first.value if first is not None and isinstance(first.value, dict) else {}
            owner = names.get("username")
        else:
            owner = members.get("name") if isinstance(members, dict) else None
        if owner is None or not isinstance(owner.value, str):
            self._problem(team, "team", expected)
            return None
        return owner.value

    def _retention(self, top: dict[str, Node]) -> int | None:
        days = None
        for where, entry in self._entries(top.get("slaProperties"), "slaProperties"):
            if entry.get("property") is None or entry["property"].raw != "retention":
                continue
            value, unit = entry.get("value"), entry.get("unit")
            if value is None or not _is_int(value.value) or int(value.raw) < 1:
                at = value or entry["property"]
                self._problem(at, f"{where}.value", "expected a whole number of at least 1")
            elif unit is None or unit.raw not in DAYS:
                self._problem(
                    unit or value, f"{where}.unit", "expected `d` for days or `y` for years"
                )
            else:
                days = int(value.raw) * DAYS[unit.raw]
        return days

    def _schema(self, root: Node, top: dict[str, Node]) -> tuple[Node, dict[str, Node]] | None:
        node = top.get("schema")
        tables = node.value if node is not None and isinstance(node.value, list) else []
        if node is None or len(tables) != 1:
            self._problem(
                node or root,
                "schema",
                "expected a list of one: lakeward takes one topic a contract, "
                f"found {len(tables)} entries",
            )
            return None
        keys = self._mapping(tables[0], "schema", OBJECT_KEYS)
        if keys is None:
            return None
        physical = keys.get("physicalType")
        if physical is not None and physical.raw != "topic":
            self._problem(
                physical, "schema.physicalType", f"expected `topic`, found {physical.described}"
            )
        return tables[0], keys

    # -- rules that span fields --------------------------------------------------------------

    def _key(
        self, node: Node, rows: Sequence[tuple[Node, dict[str, Node], Field]], name: str
    ) -> tuple[str, ...]:
        marked: list[tuple[int, str]] = []
        for row, keys, field in rows:
            if not self._flag(keys, "primaryKey", f"{name}.{field.name}"):
                continue
            where = f"{name}.{field.name}"
            if not field.required:
                self._problem(row, where, "expected `required: true`, it is part of the key")
            if field.kind in {"map", "json", "number"}:
                self._problem(row, where, f"expected a type that can be a key, not {field.kind}")
            position = keys.get("primaryKeyPosition")
            if position is None:
                marked.append((len(rows) + len(marked), field.name))
            elif _is_int(position.value) and int(position.raw) >= 1:
                marked.append((int(position.raw), field.name))
            else:
                self._problem(
                    position, f"{where}.primaryKeyPosition", "expected 1 or a greater number"
                )
        if not marked:
            self._problem(
                node, f"{name}.properties", "expected `primaryKey: true` on at least one field"
            )
        return tuple(column for _, column in sorted(marked, key=lambda pair: pair[0]))

    def _event_time(
        self, node: Node, custom: dict[str, Node], fields: tuple[Field, ...]
    ) -> str | None:
        value = custom.get("eventTime")
        if value is None:
            self._problem(
                node,
                "schema.customProperties",
                "expected `property: eventTime` whose `value:` is the column of event time",
            )
            return None
        field = next((f for f in fields if f.name == value.raw), None)
        if field is None or field.kind != "timestamp" or not field.required:
            self._problem(
                value,
                "schema.customProperties.eventTime",
                f"expected a required field of logicalType timestamp, found {value.described}"
                + _suggest(value.raw, [f.name for f in fields if f.kind == "timestamp"]),
            )
            return None
        return field.name

    def _message_key(
        self, custom: dict[str, Node], fields: tuple[Field, ...], key: tuple[str, ...]
    ) -> tuple[str, ...]:
        value = custom.get("messageKey")
        if value is None:
            return key
        where = "schema.customProperties.messageKey"
        if not isinstance(value.value, list) or not value.value:
            self._problem(value, where, f"expected a list of columns, found {value.described}")
            return key
        required = [f.name for f in fields if f.required]
        for column in value.value:
            if column.raw not in required:
                self._problem(
                    column,
                    where,
                    f"expected required fields only, found {column.described}"
                    + _suggest(column.raw, required),
                )
        return tuple(column.raw for column in value.value)

    def _check_tenant(
        self,
        node: Node,
        fields: tuple[Field, ...],
        lines: dict[str, Node],
        key: tuple[str, ...],
    ) -> None:
        field = next((f for f in fields if f.name == TENANT), None)
        expected = f"expected a field `{TENANT}` of logicalType string, `required: true`"
        if field is None:
            self._problem(node, "schema.properties", expected)
        elif field.kind != "string" or not field.required or TENANT not in key:
            self._problem(
                lines[TENANT],
                f"schema.properties.{TENANT}",
                f"{expected} and `primaryKey: true`, so that tenants never share a key",
            )

    # -- fields ------------------------------------------------------------------------------

    def _properties(
        self, node: Node, keys: dict[str, Node], table: str
    ) -> list[tuple[Node, dict[str, Node], Field]]:
        listed = keys.get("properties")
        if listed is None or not isinstance(listed.value, list) or not listed.value:
            self._problem(listed or node, f"{table}.properties", "expected a list of fields")
            return []
        rows: list[tuple[Node, dict[str, Node], Field]] = []
        names: dict[str, int] = {}
        members: dict[str, int] = {}
        for index, item in enumerate(listed.value):
            numbered = f"{table}.properties[{index}]"
            entry = self._mapping(item, numbered, PROPERTY_KEYS)
            name = None if entry is None else self._text(item, entry, "name", numbered)
            if entry is None or name is None:
                continue
            where = f"{table}.{name}"
            self._check_name(entry["name"], where, name)
            field = self._field(item, entry, name, where)
            self._refuse_repeat(entry["name"], where, "name", name, names)
            at = entry.get("physicalName", entry["name"])
            self._refuse_repeat(at, where, "payload member", field.payload_name, members)
            rows.append((item, entry, field))
        return rows

    def _refuse_repeat(
        self, node: Node, where: str, what: str, name: str, seen: dict[str, int]
    ) -> None:
        if name in seen:
            message = f"expected each {what} once, `{name}` is also in line {seen[name]}"
            self._problem(node, where, message)
        else:
            seen[name] = node.line

    def _field(self, item: Node, entry: dict[str, Node], name: str, where: str) -> Field:
        logical = self._one_of(item, entry, "logicalType", LOGICAL_TYPES, where)
        kind = KINDS.get(logical or "", "string")
        precision, scale = MAX_PRECISION, 0
        physical = entry.get("physicalType")
        if kind == "number" and physical is not None and not _is_float_type(physical.raw):
            kind = "decimal"
            precision, scale = self._decimal(physical, f"{where}.physicalType")
        if kind == "map":
            self._check_map(entry, f"{where}.map")
        minimum, maximum = self._bounds(entry, where, kind)
        unit = self._custom(entry.get("customProperties"), f"{where}.customProperties").get("unit")
        return Field(
            name=name,
            payload_name=self._text(item, entry, "physicalName", where, optional=True) or name,
            kind=kind,
            required=self._flag(entry, "required", where),
            description=self._description(entry.get("description")),
            unit=None if unit is None else unit.raw,
            allowed=self._allowed(entry, where, kind),
            pii=_is_pii(entry),
            precision=precision,
            scale=scale,
            examples=self._examples(entry),
            minimum=minimum,
            maximum=maximum,
        )

    def _decimal(self, physical: Node, where: str) -> tuple[int, int]:
        found = DECIMAL.fullmatch(physical.raw.strip())
        if found is not None:
            precision, scale = int(found[1]), int(found[2])
            if 1 <= precision <= MAX_PRECISION and scale <= precision:
                return precision, scale
        self._problem(
            physical,
            where,
            f"expected `double`, or `decimal(digits, scale)` with at most {MAX_PRECISION} digits "
            f"and a scale of at most that, found {physical.described}",
        )
        return MAX_PRECISION, 0

    def _check_map(self, entry: dict[str, Node], where: str) -> None:
        declared = entry.get("map")
        if declared is None or not isinstance(declared.value, dict):
            self._problem(
                declared or entry["name"], where, "expected `key:` and `value:` of the map"
            )
            return
        for side in ("key", "value"):
            part = declared.value.get(side)
            keys = part.value if part is not None and isinstance(part.value, dict) else {}
            logical = keys.get("logicalType")
            if logical is None or logical.raw != "string":
                self._problem(
                    logical or part or declared,
                    f"{where}.{side}",
                    "expected `logicalType: string`; for anything else use `logicalType: object`, "
                    "which keeps the JSON as it is",
                )

    def _allowed(self, entry: dict[str, Node], where: str, kind: str) -> tuple[str, ...]:
        listed = entry.get("enum")
        if listed is None:
            return ()
        if kind != "string":
            self._problem(listed, f"{where}.enum", "expected none: only text can have a list")
            return ()
        allowed: list[str] = []
        for place, value in self._entries(listed, f"{where}.enum", nonempty=True):
            node = value.get("value")
            if node is None or not isinstance(node.value, str):
                found = "nothing" if node is None else node.described
                self._problem(
                    node or listed,
                    f"{place}.value",
                    f"expected text (in quotation marks if YAML would read it otherwise), "
                    f"found {found}",
                )
            elif node.value in allowed:
                self._problem(node, f"{place}.value", f"expected once, found `{node.raw}` again")
            else:
                allowed.append(node.value)
        return tuple(allowed)

    def _bounds(
        self, entry: dict[str, Node], where: str, kind: str
    ) -> tuple[float | None, float | None]:
        options = entry.get("logicalTypeOptions")
        if options is None or not isinstance(options.value, dict):
            if options is not None:
                self._problem(options, f"{where}.logicalTypeOptions", "expected a mapping")
            return None, None
        if kind not in {"integer", "number", "decimal"}:
            return None, None
        found: list[float | None] = []
        for side in ("minimum", "maximum"):
            node = options.value.get(side)
            if node is None:
                found.append(None)
            elif isinstance(node.value, int | float) and not isinstance(node.value, bool):
                found.append(float(node.value))
            else:
                at = f"{where}.logicalTypeOptions.{side}"
                self._problem(node, at, f"expected a number, found {node.described}")
                found.append(None)
        minimum, maximum = found
        if minimum is not None and maximum is not None and minimum > maximum:
            at = f"{where}.logicalTypeOptions"
            self._problem(options, at, "expected a minimum that is not above the maximum")
        return minimum, maximum

    def _examples(self, entry: dict[str, Node]) -> tuple[str, ...]:
        listed = entry.get("examples")
        items = listed.value if listed is not None and isinstance(listed.value, list) else []
        return tuple(item.raw for item in items if item.raw)

    def _check_name(self, node: Node, where: str, name: str) -> None:
        expected = why_no_identifier(name)
        if expected is not None:
            self._problem(node, where, f"expected {expected}, found `{name}`")

    # -- plain values ------------------------------------------------------------------------

    def _problem(self, node: Node, where: str, message: str) -> None:
        self._problems.add(node.line, where, message)

    def _mapping(self, node: Node, where: str, known: Iterable[str]) -> dict[str, Node] | None:
        if not isinstance(node.value, dict):
            self._problem(node, where, f"expected a mapping of keys, found {node.described}")
            return None
        for key, value in node.value.items():
            if key not in known:
                message = "expected a key of the Open Data Contract Standard"
                self._problem(value, f"{where}.{key}", message + _suggest(key, known))
        return node.value

    def _entries(
        self, node: Node | None, where: str, *, nonempty: bool = False
    ) -> Iterable[tuple[str, dict[str, Node]]]:
        if node is None:
            return
        if not isinstance(node.value, list) or (nonempty and not node.value):
            self._problem(node, where, f"expected a list, found {node.described}")
            return
        for index, item in enumerate(node.value):
            if isinstance(item.value, dict):
                yield f"{where}[{index}]", item.value
            else:
                found = item.described
                self._problem(item, f"{where}[{index}]", f"expected a mapping, found {found}")

    def _custom(self, node: Node | None, where: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for place, entry in self._entries(node, where):
            for key, value in entry.items():
                if key not in CUSTOM_KEYS:
                    message = "expected `property` and `value`"
                    self._problem(value, f"{place}.{key}", message + _suggest(key, CUSTOM_KEYS))
            if "property" in entry and "value" in entry:
                found[entry["property"].raw] = entry["value"]
        return found

    def _text(
        self,
        parent: Node,
        keys: dict[str, Node],
        key: str,
        where: str,
        *,
        optional: bool = False,
    ) -> str | None:
        node = keys.get(key)
        if node is None:
            if not optional:
                self._problem(parent, f"{where}.{key}", "expected text, it is missing")
            return None
        if not isinstance(node.value, str) or not node.value:
            quoted = f', as in `{key}: "{node.raw}"`' if node.raw else ""
            self._problem(node, f"{where}.{key}", f"expected text, found {node.described}{quoted}")
            return None
        return node.value

    def _one_of(
        self,
        parent: Node,
        keys: dict[str, Node],
        key: str,
        choices: Sequence[str],
        where: str = "contract",
    ) -> str | None:
        node = keys.get(key)
        expected = "expected " + ("one of " if len(choices) > 1 else "") + ", ".join(choices)
        if node is None:
            self._problem(parent, f"{where}.{key}", f"{expected}; it is missing")
            return None
        if node.value not in choices:
            message = f"{expected}; found {node.described}" + _suggest(node.raw, choices)
            self._problem(node, f"{where}.{key}", message)
            return None
        return node.raw

    def _flag(self, keys: dict[str, Node], key: str, where: str) -> bool:
        node = keys.get(key)
        if node is None or isinstance(node.value, bool):
            return node is not None and node.value is True
        self._problem(node, f"{where}.{key}", f"expected true or false, found {node.described}")
        return False

    def _description(self, node: Node | None) -> str:
        return "" if node is None else " ".join(node.raw.split())


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float_type(physical: str) -> bool:
    return physical.strip().lower() in {"double", "float", "float64", "real", "number"}


def _is_pii(entry: dict[str, Node]) -> bool:
    node = entry.get("classification")
    return node is not None and node.raw.lower() == "pii"


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
