"""What changed between two versions of a contract, and whether readers and writers survive it.

A new version may add nullable fields, allow more values, ask for less and say more. Anything
else would turn messages that were accepted into dead letters, change what stored numbers mean,
or let one event be counted twice; such a change needs a new contract with a topic of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ingest.contracts.arrow import arrow_type
from ingest.contracts.model import Contract, Field
from ingest.contracts.names import VERSION

NEW_CONTRACT_HINT: Final = (
    "put the old meaning back, or make a new contract with a name and a topic of its own"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions of a contract."""

    contract: str
    what: str
    """The difference, and when it is refused the reason."""
    compatible: bool
    field: str | None = None
    """The column concerned, None for the contract as a whole."""

    def __str__(self) -> str:
        where = self.contract if self.field is None else f"{self.contract}.{self.field}"
        return f"{where}: {self.what}"


def compare_all(old: Iterable[Contract], new: Iterable[Contract]) -> list[Change]:
    """Compare every contract of ``old`` with the one of that name in ``new``."""
    now = {contract.name: contract for contract in new}
    by_topic = {contract.topic: contract for contract in now.values()}
    changes: list[Change] = []
    before: set[str] = set()
    for contract in old:
        before.add(contract.name)
        if contract.name in now:
            changes.extend(compare(contract, now[contract.name]))
            continue
        heir = by_topic.get(contract.topic)
        gone = (
            f"is gone: nothing would read {contract.topic} any more"
            if heir is None
            else f"was renamed to {heir.name}: its table would stop and an empty one begin"
        )
        changes.append(Change(contract.name, gone, compatible=False))
    added = [contract for name, contract in now.items() if name not in before]
    changes.extend(Change(c.name, f"is new, version {c.version}", compatible=True) for c in added)
    return changes


def compare(old: Contract, new: Contract) -> list[Change]:
    """List what changed from ``old`` to ``new``, the contract first, then field by field.

    A change with a version that is not above the old one is refused too: bronze rows name the
    version that decoded them, so one version must mean one thing.
    """
    changes = [*_contract_changes(old, new), *_field_changes(old, new)]
    before, after = _numbers(old.version), _numbers(new.version)
    if after < before:
        what = f"version went back from {old.version} to {new.version}"
        changes.append(Change(new.name, what, compatible=False))
    elif changes and after == before:
        what = f"changed, but its version is still {new.version}: raise it"
        changes.append(Change(new.name, what, compatible=False))
    return changes


def _contract_changes(old: Contract, new: Contract) -> Iterator[Change]:
    def refused(what: str) -> Change:
        return Change(new.name, what, compatible=False)

    if old.topic != new.topic:
        reason = "its offsets would mean other messages"
        yield refused(f"topic changed from {old.topic} to {new.topic}: {reason}")
    if old.key != new.key:
        reason = "events already stored were told apart by the old one"
        yield refused(f"key changed from {_list(old.key)} to {_list(new.key)}: {reason}")
    if old.event_time != new.event_time:
        reason = "stored events would move in time"
        yield refused(f"event time changed from {old.event_time} to {new.event_time}: {reason}")
    if old.message_key != new.message_key:
        reason = "events that belong together would land in two partitions"
        yield refused(
            f"message key changed from {_list(old.message_key)} to {_list(new.message_key)}: "
            f"{reason}"
        )
    if old.retention_days != new.retention_days:
        days = [_days(old.retention_days), _days(new.retention_days)]
        yield Change(new.name, f"retention changed from {days[0]} to {days[1]}", compatible=True)


def _field_changes(old: Contract, new: Contract) -> Iterator[Change]:
    now = {field.name: field for field in new.fields}
    before = {field.name for field in old.fields}
    by_member = {f.payload_name: f for f in new.fields if f.name not in before}
    renamed: set[str] = set()
    for field in old.fields:
        if field.name in now:
            yield from _changes_of_field(new.name, field, now[field.name])
            continue
        heir = by_member.get(field.payload_name)
        if heir is not None:
            renamed.add(heir.name)
            what = f"was renamed to {heir.name}: the stored column would stop and break its readers"
        else:
            what = "is gone: the stored column would stop and break its readers"
        yield Change(new.name, what, compatible=False, field=field.name)
    for field in new.fields:
        if field.name in before or field.name in renamed:
            continue
        if field.required:
            what = "is new and required: messages of producers that do not know it would be refused"
            yield Change(new.name, what, compatible=False, field=field.name)
        else:
            yield Change(new.name, "is new", compatible=True, field=field.name)


def _changes_of_field(contract: str, old: Field, new: Field) -> Iterator[Change]:
    def change(what: str, *, compatible: bool) -> Change:
        return Change(contract, what, compatible=compatible, field=new.name)

    if _type(old) != _type(new):
        reason = "stored values have the old type"
        what = f"type changed from {_type(old)} to {_type(new)}: {reason}"
        yield change(what, compatible=False)
    if old.payload_name != new.payload_name:
        what = (
            f"payload member changed from {old.payload_name} to {new.payload_name}: what "
            "producers send today would no longer be found"
        )
        yield change(what, compatible=False)
    if new.required and not old.required:
        what = "became required: messages without it would be refused"
        yield change(what, compatible=False)
    if old.required and not new.required:
        yield change("is no longer required", compatible=True)
    if old.unit != new.unit:
        reason = "stored numbers would change their meaning"
        what = f"unit changed from {old.unit or 'none'} to {new.unit or 'none'}: {reason}"
        yield change(what, compatible=old.unit is None)
    yield from _changes_of_allowed(contract, old, new)
    if old.pii != new.pii:
        what = "is now personal data" if new.pii else "is no longer personal data"
        yield change(what, compatible=True)
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        yield change("expected range changed", compatible=True)


def _changes_of_allowed(contract: str, old: Field, new: Field) -> Iterator[Change]:
    if set(old.allowed) == set(new.allowed):
        return
    if not new.allowed:
        what, compatible = "any value is allowed now", True
    elif not old.allowed:
        what, compatible = "only listed values are allowed now: others were sent before", False
    elif gone := [value for value in old.allowed if value not in new.allowed]:
        what, compatible = f"no longer allows {_list(gone)}: they were sent before", False
    else:
        more = [value for value in new.allowed if value not in old.allowed]
        what, compatible = f"now also allows {_list(more)}", True
    yield Change(contract, what, compatible=compatible, field=new.name)


def _type(field: Field) -> str:
    """The kind and, for a decimal, its digits; ``json`` and ``string`` differ in kind only."""
    return str(arrow_type(field)) if field.kind == "decimal" else field.kind


def _numbers(version: str) -> tuple[int, ...]:
    found = VERSION.fullmatch(version)
    assert found is not None, "the loader takes no other version"
    return tuple(int(part) for part in found.groups())


def _days(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


def _list(values: Iterable[str]) -> str:
    return ", ".join(values)
