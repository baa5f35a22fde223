"""Reading one contract file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.contracts.document import Node, Problems, read_document
from ingest.contracts.fields import FieldEntry, read_fields
from ingest.contracts.model import Contract, Field
from ingest.contracts.names import VERSION, is_topic
from ingest.contracts.odcs import API_VERSIONS, CONTRACT_KEYS, DAYS, OBJECT_KEYS
from ingest.contracts.reading import Keys, Reader, suggestion

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
    contract = _contract(Reader(problems), root, path)
    problems.raise_if_any()
    assert contract is not None
    return contract


def _contract(read: Reader, root: Node, path: Path) -> Contract | None:
    """Return the contract; None, or one with gaps, when a problem was noted."""
    top = read.mapping(root, "contract", CONTRACT_KEYS)
    if top is None:
        return None
    read.one_of(root, top, "apiVersion", API_VERSIONS, "contract")
    read.one_of(root, top, "kind", ("DataContract",), "contract")
    read.text(root, top, "id", "contract")
    version = _version(read, root, top)
    owner = _owner(read, root, top)
    retention = _retention(read, top)
    found = _only_table(read, root, top)
    if found is None:
        return None
    node, table = found
    name = _table_name(read, node, table)
    topic = _topic(read, node, table)
    entries = read_fields(read, node, table, name)
    fields = tuple(entry.field for entry in entries)
    key = _key(read, node, name, entries)
    custom = read.custom(table.get("customProperties"), f"{name}.customProperties")
    _check_tenant(read, node, name, entries)
    return Contract(
        name=name,
        version=version,
        topic=topic,
        owner=owner,
        description=read.prose(table.get("description")),
        fields=fields,
        key=key,
        event_time=_event_time(read, node, name, custom, fields),
        message_key=_message_key(read, name, custom, fields) or key,
        path=path,
        grain=read.prose(table.get("dataGranularityDescription")),
        domain=read.optional_text(top, "domain", "contract"),
        retention_days=retention,
    )


def _version(read: Reader, root: Node, top: Keys) -> str:
    version = read.text(root, top, "version", "contract") or ""
    if version and not VERSION.fullmatch(version):
        message = f"expected three numbers such as 1.0.0, found `{version}`"
        read.wrong(top["version"], "contract.version", message)
    return version


def _owner(read: Reader, root: Node, top: Keys) -> str:
    """Return the owning team: its name, or its first member (the way before ODCS 3.1)."""
    team = top.get("team")
    keys: object = None
    if team is not None:
        members = team.value
        keys = members[0].value if isinstance(members, list) and members else members
    if isinstance(keys, dict):
        owner: Node | None = keys.get("name") or keys.get("username")
        if owner is not None and isinstance(owner.value, str) and owner.value:
            return owner.value
    expected = "expected the owning team, as `team:` with a `name:` below it"
    read.wrong(team or root, "contract.team", expected)
    return ""


def _retention(read: Reader, top: Keys) -> int | None:
    days = None
    for where, entry in read.entries(top.get("slaProperties"), "slaProperties"):
        name = entry.get("property")
        if name is None or name.raw != "retention":
            continue
        count, unit = read.positive(entry.get("value")), entry.get("unit")
        if count is None:
            at = entry.get("value", name)
            read.wrong(at, f"{where}.value", "expected a whole number of at least 1")
        elif unit is None or unit.raw not in DAYS:
            at = unit or entry["value"]
            read.wrong(at, f"{where}.unit", "expected `d` for days or `y` for years")
        else:
            days = count * DAYS[unit.raw]
    return days


def _only_table(read: Reader, root: Node, top: Keys) -> tuple[Node, Keys] | None:
    node = top.get("schema")
    tables = node.value if node is not None and isinstance(node.value, list) else []
    if len(tables) != 1:
        message = f"expected a list of one entry, the topic of the contract; found {len(tables)}"
        read.wrong(node or root, "contract.schema", message)
        return None
    keys = read.mapping(tables[0], "schema", OBJECT_KEYS)
    return None if keys is None else (tables[0], keys)


def _table_name(read: Reader, node: Node, table: Keys) -> str:
    name = read.text(node, table, "name", "schema")
    if name is None:
        return "schema"
    read.identifier(table["name"], "schema.name", name)
    return name


def _topic(read: Reader, node: Node, table: Keys) -> str:
    topic = read.text(node, table, "physicalName", "schema") or ""
    if topic and not is_topic(topic):
        message = (
            "expected a Kafka topic: letters, digits and . _ -, at most 249; "
            f"found {table['physicalName'].described}"
        )
        read.wrong(table["physicalName"], "schema.physicalName", message)
    physical = table.get("physicalType")
    if physical is not None and physical.raw != "topic":
        message = f"expected `topic`, found {physical.described}"
        read.wrong(physical, "schema.physicalType", message)
    return topic


def _key(read: Reader, node: Node, name: str, entries: Sequence[FieldEntry]) -> tuple[str, ...]:
    placed = [(e.key_position, e.field.name) for e in entries if e.key_position is not None]
    if entries and not placed:
        message = "expected `primaryKey: true` on at least one field"
        read.wrong(node, f"{name}.properties", message)
    positions = [position for position, _ in placed]
    for entry in entries:
        if entry.key_position is not None and positions.count(entry.key_position) > 1:
            message = "expected each `primaryKeyPosition` once"
            read.wrong(entry.node, f"{name}.{entry.field.name}", message)
    return tuple(column for _, column in sorted(placed))


def _event_time(read: Reader, node: Node, name: str, custom: Keys, fields: Sequence[Field]) -> str:
    value = custom.get("eventTime")
    where = f"{name}.customProperties.eventTime"
    if value is None:
        message = "expected `property: eventTime` with the column of event time as its `value:`"
        read.wrong(node, where, message)
        return ""
    candidates = [f.name for f in fields if f.kind == "timestamp" and f.required]
    if fields and value.raw not in candidates:
        message = f"expected a required field of logicalType timestamp, found {value.described}"
        read.wrong(value, where, message + suggestion(value.raw, candidates))
    return value.raw


def _message_key(read: Reader, name: str, custom: Keys, fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the columns of the Kafka message key; empty when the file names none.

    They must be required: all messages with a null in them would share one partition.
    """
    value = custom.get("messageKey")
    where = f"{name}.customProperties.messageKey"
    if value is None:
        return ()
    if not isinstance(value.value, list) or not value.value:
        read.wrong(value, where, f"expected a list of columns, found {value.described}")
        return ()
    required = [field.name for field in fields if field.required]
    for column in value.value:
        if fields and column.raw not in required:
            message = f"expected required fields only, found {column.described}"
            read.wrong(column, where, message + suggestion(column.raw, required))
    return tuple(column.raw for column in value.value)


def _check_tenant(read: Reader, node: Node, name: str, entries: Sequence[FieldEntry]) -> None:
    expected = (
        f"expected a field `{TENANT}` with `logicalType: string`, `required: true` and "
        "`primaryKey: true`: tenants share no keys"
    )
    entry = next((entry for entry in entries if entry.field.name == TENANT), None)
    if entry is None:
        read.wrong(node, f"{name}.properties", expected)
    elif entry.field.kind != "string" or not entry.field.required or entry.key_position is None:
        read.wrong(entry.node, f"{name}.{TENANT}", expected)
