"""A tenant's own typed fields of a contract, kept beside the contract and added to it only.

An overlay changes no message and no stored row. What the tenant sends under a name that the
contract does not know is kept as JSON anyway, in ``_rescued`` or in a JSON member of the contract
such as ``properties``; a field of an overlay says which type is read from there. Like contracts
(ADR 002) overlays only grow: a field keeps its type and place for ever, and may be retired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from ingest.contracts.model import Contract, Field, FieldKind
from ingest.contracts.names import why_no_identifier
from ingest.contracts.odcs import MAX_PRECISION
from ingest.errors import ContractError

KINDS: Final[frozenset[FieldKind]] = frozenset(
    {"string", "integer", "number", "decimal", "boolean", "timestamp", "date"}
)
"""What a field of an overlay can be. Nested JSON can be read where it is."""

RESCUED: Final = "_rescued"
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_SPEC: Final = re.compile(r"(?P<name>[^:=]+):(?P<type>[^=]+)(?:=(?P<path>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OverlayField:
    """One typed column of one tenant."""

    name: str
    kind: FieldKind
    path: tuple[str, ...]
    """Where in the payload it is: a member, and the members inside of it."""
    precision: int = MAX_PRECISION
    scale: int = 0
    is_retired: bool = False
    """True for a field that views show no more; its name and type stay taken."""

    @property
    def type_name(self) -> str:
        """``integer``, or ``decimal(10,2)``."""
        return f"decimal({self.precision},{self.scale})" if self.kind == "decimal" else self.kind

    def as_document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        found: dict[str, Any] = {
            "name": self.name,
            "type": self.type_name,
            "path": list(self.path),
        }
        return {**found, "retired": True} if self.is_retired else found

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> OverlayField:
        """Return the field that ``as_document`` wrote."""
        kind, precision, scale = _type(document["type"], document["name"])
        retired = bool(document.get("retired", False))
        return cls(document["name"], kind, tuple(document["path"]), precision, scale, retired)

    def kept_in(self, contract: Contract) -> tuple[str, tuple[str, ...]]:
        """Return the column that has it, and the members that lead to it inside of that."""
        for field in contract.fields:
            if field.payload_name == self.path[0] and field.kind == "json":
                return field.name, self.path[1:]
        return RESCUED, self.path

    def as_field(self) -> Field:
        """Return it as a field of a contract would be: what fits it is the same."""
        return Field(
            self.name, self.path[-1], self.kind, precision=self.precision, scale=self.scale
        )


@dataclass(frozen=True, slots=True)
class Overlay:
    """One version of what a tenant has added to a contract."""

    contract: str
    version: int
    fields: tuple[OverlayField, ...]

    @property
    def columns(self) -> tuple[OverlayField, ...]:
        """The fields that are shown."""
        return tuple(field for field in self.fields if not field.is_retired)


def parse_field(text: str) -> OverlayField:
    """Read ``name:type`` or ``name:type=member.inner``.

    Raises:
        ContractError: it is no such text, or the type is none.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise ContractError(
            f"{text!r} is no field: expected name:type or name:type=member.inner",
            hint="For example plan:string, seats:integer, mrr:decimal(10,2)=properties.billing.mrr",
        )
    name = match["name"].strip()
    kind, precision, scale = _type(match["type"].strip(), name)
    path = tuple((match["path"] or name).strip().split("."))
    if not all(path):
        raise ContractError(f"{text!r}: a member's name is missing in the path")
    return OverlayField(name, kind, path, precision, scale)


def grown(
    contract: Contract, current: Overlay | None, added: Iterable[OverlayField], taken: Iterable[str]
) -> Overlay:
    """Return the version that follows ``current`` when fields are added.

    Args:
        contract: whose overlay.
        current: the newest version; None: there is none.
        added: the fields; one that was retired comes back.
        taken: columns that the tenant's view has anyway.

    Raises:
        ContractError: a field cannot be added, or nothing would change.
    """
    fields = {} if current is None else {field.name: field for field in current.fields}
    columns = {*taken, *(field.name for field in contract.fields)}
    changed = False
    for field in added:
        _check(contract, field, columns)
        there = fields.get(field.name)
        if there is not None and replace(there, is_retired=False) != field:
            raise ContractError(
                f"{field.name} is {there.type_name} from {'.'.join(there.path)}, and stays so",
                hint="An overlay only grows: give the new field another name.",
            )
        changed |= there is None or there.is_retired
        fields[field.name] = field
    if not changed:
        raise ContractError(f"nothing of the overlay on {contract.name} would change")
    return _next(contract.name, current, fields.values())


def without(contract: str, current: Overlay | None, names: Iterable[str]) -> Overlay:
    """Return the version that follows ``current`` when fields are retired.

    Raises:
        ContractError: there is no such field that is shown.
    """
    fields = {} if current is None else {field.name: field for field in current.fields}
    for name in names:
        if name not in fields or fields[name].is_retired:
            shown = ", ".join(f.name for f in fields.values() if not f.is_retired) or "none"
            raise ContractError(
                f"the overlay on {contract} has no field {name}", hint=f"Its fields: {shown}."
            )
        fields[name] = replace(fields[name], is_retired=True)
    return _next(contract, current, fields.values())


def _next(contract: str, current: Overlay | None, fields: Iterable[OverlayField]) -> Overlay:
    return Overlay(contract, 1 if current is None else current.version + 1, tuple(fields))


def _check(contract: Contract, field: OverlayField, columns: set[str]) -> None:
    why_not = why_no_identifier(field.name)
    if why_not is not None:
        raise ContractError(f"{field.name!r} cannot be a column: expected {why_not}")
    if field.name in columns:
        raise ContractError(
            f"{field.name} is a column of {contract.name} already",
            hint="Give the field another name; `=` says which member it is read from.",
        )
    known = {f.payload_name: f for f in contract.fields}
    first = known.get(field.path[0])
    if first is not None and (first.kind != "json" or len(field.path) == 1):
        raise ContractError(
            f"{'.'.join(field.path)} is what the contract reads {first.name} from",
            hint="An overlay reads members that the contract does not know, or members inside of "
            "its JSON.",
        )


def _type(text: str, name: str) -> tuple[FieldKind, int, int]:
    match = _DECIMAL.fullmatch(text)
    if match is not None:
        precision, scale = int(match[1]), int(match[2])
        if 1 <= precision <= MAX_PRECISION and scale <= precision:
            return "decimal", precision, scale
    elif text in KINDS - {"decimal"}:
        return cast("FieldKind", text), MAX_PRECISION, 0
    raise ContractError(
        f"{name}: there is no type {text!r} for a field of an overlay",
        hint=f"Types: {', '.join(sorted(KINDS - {'decimal'}))}, decimal(digits, scale) with at "
        f"most {MAX_PRECISION} digits.",
    )
