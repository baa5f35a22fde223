"""From a line of a file to the payload of an event."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from jsonschema import Draft202012Validator

from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.model import Contract, Field, FieldKind
from ingest.errors import ImportFileError
from ingest.importer import transforms
from ingest.importer.mapping import PLACEHOLDER, Mapping, Rule, Transform
from ingest.importer.reasons import Refusal
from ingest.importer.records import Record

NAMESPACE: Final = uuid.UUID("7d1b7a52-6f0c-5d43-9a57-0c1f7f2b9e11")
"""Derived ids are UUIDs of version 5 in this namespace."""

TENANT: Final = "tenant_id"
_ABSENT: Final = object()
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

Getter = Callable[[Record], Any]


class _FailedError(ValueError):
    """A transform cannot work on a value; becomes a refusal."""


class Mapper:
    """Makes payloads of one contract.

    Args:
        contract: what the payloads must be.
        mapping: where the members come from; None takes members (columns of a CSV file) of the
            contract's own names.
        tenant: the tenant of every event, whatever the line says; None takes the line's.
        identity: of the file: ids of events that have none follow from it and the line number.
        from_text: values are text and become what the contract's types say (CSV).

    Raises:
        ImportFileError: the mapping does not fit the contract.
    """

    def __init__(
        self,
        contract: Contract,
        mapping: Mapping | None,
        tenant: str | None,
        identity: str,
        *,
        from_text: bool,
    ) -> None:
        self._contract = contract
        self._tenant = tenant
        self._identity = identity
        self._from_text = from_text
        self._fields = {field.payload_name: field for field in contract.fields}
        self._aliases = {f.name: f.payload_name for f in contract.fields}
        self._required = [field for field in contract.fields if field.required]
        self._fits = {field.payload_name: _fits(contract, field) for field in self._required}
        own_key = [name for name in contract.key if name != TENANT]
        self._id_field = contract.field(own_key[0]).payload_name if len(own_key) == 1 else None
        self._rules: dict[str, Getter] | None = None
        if tenant is not None and TENANT not in {field.name for field in contract.fields}:
            raise ImportFileError(f"{contract.name} has no {TENANT}, so there can be no --tenant")
        if mapping is not None:
            self._rules = self._compile(mapping)
        self.derived_ids = 0
        """Events whose id was made from the file and the line so far."""

    def payload(self, record: Record, number: int) -> Record | Refusal:
        """Return the payload for line ``number``, or why there is none."""
        try:
            made = self._made(record)
        except _FailedError as error:
            return Refusal("mapping_failed", str(error))
        if self._tenant is not None:
            made[self._aliases[TENANT]] = self._tenant
        derives = self._id_field is not None and made.get(self._id_field) is None
        if derives:
            assert self._id_field is not None
            made[self._id_field] = str(uuid.uuid5(NAMESPACE, f"{self._identity}:{number}"))
        if self._from_text:
            for name, value in made.items():
                if isinstance(value, str) and name in self._fields:
                    made[name] = from_text(value, self._fields[name].kind)
        refusal = self._check(made)
        if refusal is None and derives:
            self.derived_ids += 1
        return made if refusal is None else refusal

    def _made(self, record: Record) -> Record:
        if self._rules is not None:
            return {name: rule(record) for name, rule in self._rules.items()}
        if self._from_text:
            return {self._aliases.get(name, name): value for name, value in record.items()}
        return dict(record)

    def _check(self, made: Record) -> Refusal | None:
        missing = [f.payload_name for f in self._required if made.get(f.payload_name) is None]
        if missing:
            return Refusal("missing_required", ", ".join(missing))
        for field in self._required:
            if not self._fits[field.payload_name](made[field.payload_name]):
                return Refusal("invalid_required", f"{field.payload_name} is no {field.kind}")
        return None

    def _compile(self, mapping: Mapping) -> dict[str, Getter]:
        contract = self._contract
        if mapping.contract not in (None, contract.name):
            raise ImportFileError(
                f"the mapping is for the contract `{mapping.contract}`, not `{contract.name}`"
            )
        rules: dict[str, Getter] = {}
        for target, rule in mapping.fields.items():
            name = self._aliases.get(target, target)
            if name not in self._fields:
                raise ImportFileError(
                    f"fields.{target}: the contract {contract.name} has no such field",
                    hint=f"it has {', '.join(self._aliases)}; what it has not goes below `extra`",
                )
            if name in rules:
                raise ImportFileError(f"fields.{target}: the field is mapped twice")
            rules[name] = _getter(rule, target)
        for target, rule in mapping.extra.items():
            if target in self._fields or target in self._aliases:
                raise ImportFileError(
                    f"extra.{target}: the contract {contract.name} has this field",
                    hint="move it below `fields`",
                )
            rules[target] = _getter(rule, target)
        given = set(rules) | {self._id_field}
        if self._tenant is not None:
            given.add(self._aliases[TENANT])
        missing = [f.name for f in self._required if f.payload_name not in given]
        if missing:
            hint = (
                "say which tenant the events belong to with --tenant"
                if missing == [TENANT]
                else "add them below `fields`"
            )
            raise ImportFileError(
                f"the mapping leaves out what {contract.name} requires: {', '.join(missing)}",
                hint=hint,
            )
        return rules


def _getter(rule: Rule, target: str) -> Getter:
    get = _source(rule, target)
    changes = [(_change(step), _name(step)) for step in rule.transform]
    default = rule.default

    def value_of(record: Record) -> Any:
        value = get(record)
        for change, name in changes:
            if value is None:
                break
            try:
                value = change(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise _FailedError(f"{target}: {name}: {error}") from error
        return default if value is None else value

    return value_of


def _source(rule: Rule, target: str) -> Getter:
    if rule.source is not None:
        return _path(rule.source)
    if rule.template is not None:
        return _template(rule.template)
    if rule.object is not None:
        members = {name: _getter(inner, f"{target}.{name}") for name, inner in rule.object.items()}
        return lambda record: {name: get(record) for name, get in members.items()}
    constant = rule.const
    return lambda _: constant


def _path(path: str) -> Getter:
    """Look up a dotted path; numbers index lists, and a name with dots in it goes first."""
    parts = path.split(".")

    def look(record: Record) -> Any:
        found = record.get(path, _ABSENT)
        if found is not _ABSENT or len(parts) == 1:
            return None if found is _ABSENT else found
        value: Any = record
        for part in parts:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    return look


def _template(template: str) -> Getter:
    """Fill in a template; a placeholder without a value stands for nothing."""
    getters = {path: _path(path) for path in PLACEHOLDER.findall(template)}

    def fill(record: Record) -> str | None:
        values = {path: get(record) for path, get in getters.items()}
        if getters and all(value is None for value in values.values()):
            return None
        return PLACEHOLDER.sub(
            lambda found: "" if values[found[1]] is None else str(values[found[1]]), template
        )

    return fill


def _change(step: Transform) -> transforms.Change:
    if step.plain is not None:
        return transforms.PLAIN[step.plain]
    if step.timestamp is not None:
        return transforms.timestamp(step.timestamp)
    if step.null_if is not None:
        return transforms.null_if(step.null_if)
    assert step.lookup is not None
    return transforms.lookup(step.lookup)


def _name(step: Transform) -> str:
    given = [name for name in type(step).model_fields if getattr(step, name) is not None]
    return step.plain or given[0]


def from_text(text: str, kind: FieldKind) -> Any:
    """Return what the text of a CSV value says in JSON; itself if it does not fit the kind.

    What does not fit costs nothing: the writer keeps it in ``_rescued``.
    """
    value = text.strip()
    if kind in ("integer", "number") and _NUMBER.fullmatch(value):
        return float(value) if any(c in value for c in ".eE") else int(value)
    if kind == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind in ("map", "json") and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return text
    return text


def _fits(contract: Contract, field: Field) -> Callable[[Any], bool]:
    """Return whether a required value is one that the writer takes, by the contract's schema.

    Allowed values are left out: they are a matter for expectations, the writer takes others.
    """
    schema = dict(payload_json_schema(contract)["properties"][field.payload_name])
    schema.pop("enum", None)
    validator = Draft202012Validator(schema)
    if field.kind in ("timestamp", "date"):
        return lambda value: validator.is_valid(value) and _is_time(value)
    return lambda value: bool(validator.is_valid(value))


def _is_time(text: str) -> bool:
    """True when the day and hour exist; the schema knows the form only."""
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True
