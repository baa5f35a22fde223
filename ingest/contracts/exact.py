"""Decoding one message in plain Python: slow, and the definition of what decoding means.

``lake.writer.bulk`` decodes whole batches and must agree with this module on every row that it
takes; whatever it is not sure of comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingest.contracts import reasons
from ingest.contracts.fit import Fitted, Misfit, fit_of, loses_digits
from ingest.contracts.json_text import Members, NotJsonError, Number, Value, compact, parse
from ingest.contracts.model import Contract, Field
from ingest.contracts.reasons import Reason

TENANT: Final = "tenant_id"
"""The column that names the tenant, in every contract that has tenants."""

_WANTED: Final = {
    "string": "a string",
    "integer": "a whole number within 64 bits",
    "number": "a number that a double can hold",
    "boolean": "true or false",
    "timestamp": "a string like 2025-06-30T12:00:00.123456Z",
    "date": "a string like 2025-06-30",
    "map": "an object of strings",
    "json": "any JSON value",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A message that became a row."""

    values: tuple[Fitted | None, ...]
    """One a field of the contract, in its order."""
    rescued: str | None
    rescued_fields: int


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that became a dead letter, and why."""

    reason: Reason
    detail: str
    tenant_id: str | None = None


class ExactDecoder:
    """Decodes single payloads of one contract."""

    def __init__(self, contract: Contract, known_tenants: frozenset[str] | None) -> None:
        self._fields = tuple((field, fit_of(field)) for field in contract.fields)
        self._payload_names = frozenset(field.payload_name for field in contract.fields)
        self._tenant = next((f.payload_name for f in contract.fields if f.name == TENANT), None)
        self._known_tenants = known_tenants

    def decode(self, payload: bytes | None) -> Row | Reject:
        """Return the row that ``payload`` makes, or why it makes none; never raises."""
        if payload is None:
            return Reject(reasons.TOMBSTONE, "the message has no value")
        try:
            value = parse(payload.decode())
        except UnicodeDecodeError as error:
            return Reject(reasons.NOT_UTF8, f"{error.reason} at byte {error.start}")
        except NotJsonError as error:
            return Reject(reasons.NOT_JSON, str(error))
        if not isinstance(value, Members):
            return Reject(reasons.NOT_AN_OBJECT, f"the message is {kind_of(value)}")
        return self._of_members(dict(value))

    def _of_members(self, members: dict[str, Value]) -> Row | Reject:
        values: list[Fitted | None] = []
        missing: list[str] = []
        invalid: list[str] = []
        rescue = members.keys() - self._payload_names
        for field, fit in self._fields:
            member = members.get(field.payload_name)
            fitted = None if member is None else fit(member)
            if isinstance(fitted, Misfit):
                rescue.add(field.payload_name)
                if field.required:
                    invalid.append(f"{_named(field)} is {kind_of(member)}, not {wanted(field)}")
                fitted = None
            elif fitted is None and field.required:
                missing.append(_named(field))
            elif field.kind == "timestamp" and loses_digits(member):
                rescue.add(field.payload_name)
            values.append(fitted)
        tenant = self._tenant_of(members)
        if missing:
            return Reject(reasons.MISSING_REQUIRED, ", ".join(missing), tenant)
        if invalid:
            return Reject(reasons.INVALID_REQUIRED, "; ".join(invalid), tenant)
        if self._tenant is not None and not self._knows(tenant):
            return Reject(reasons.UNKNOWN_TENANT, _unknown(tenant), tenant)
        if not rescue:
            return Row(tuple(values), None, 0)
        kept = Members((name, member) for name, member in members.items() if name in rescue)
        return Row(tuple(values), compact(kept), len(kept))

    def _tenant_of(self, members: dict[str, Value]) -> str | None:
        tenant = None if self._tenant is None else members.get(self._tenant)
        return tenant if isinstance(tenant, str) and not isinstance(tenant, Number) else None

    def _knows(self, tenant: str | None) -> bool:
        return self._known_tenants is None or tenant in self._known_tenants


def kind_of(value: Value) -> str:
    """Say what kind of JSON value this is, for people; never what it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Members) else "a list"


def wanted(field: Field) -> str:
    """Say what fits a field, for people."""
    if field.kind == "decimal":
        whole = field.precision - field.scale
        return f"a number with at most {whole} digits before and {field.scale} after the point"
    return _WANTED[field.kind]


def _named(field: Field) -> str:
    if field.payload_name == field.name:
        return field.name
    return f"{field.name} (member {field.payload_name})"


def _unknown(tenant: str | None) -> str:
    if tenant is None:
        return "the message names no tenant"
    return "tenant_id is none of the known tenants"
