"""What must hold of every message, however broken, told without the code that decodes it.

The oracle is Python's own ``json`` with numbers as decimals, and the rules of
docs/concepts/decoding.md: a message is a row or a dead letter; every member of a row is in its
column, exactly, or else in ``_rescued``; and both decoders come to the same.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import Any, Final

import pyarrow as pa

from ingest.contracts.exact import ExactDecoder, Reject, Row
from ingest.contracts.model import Contract, Field
from ingest.contracts.reasons import REASONS
from lake.writer.bulk import BulkRows
from lake.writer.bulk_columns import Mask
from lake.writer.decode import Decoder
from tests.lake.writer.decoding import messages_of

WIDE: Final = Context(prec=2000, Emax=10**15, Emin=-(10**15), traps=[InvalidOperation])
"""Wide enough for what the mutations write; a longer number is compared as text."""


class Broken(AssertionError):
    """A promise of decoding was not kept."""

    def __init__(self, what: str, contract: Contract, payload: bytes | None) -> None:
        super().__init__(f"{contract.name}: {what}")
        self.contract = contract
        self.payload = payload


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message, roughly: inputs with a new one are worth keeping."""

    ended: str
    was_bulk: bool
    columns: tuple[bool, ...] = ()
    rescued: int = 0


class Watched(Decoder):
    """Remembers which rows the bulk way was sure of."""

    sure: Mask

    def _decode_in_bulk(self, payloads: pa.Array) -> BulkRows:
        found = super()._decode_in_bulk(payloads)
        self.sure = found.sure.copy()
        return found


class Judge:
    """Decodes batches of one contract's messages and looks at what came of each."""

    def __init__(self, contract: Contract, tenants: frozenset[str] | None = None) -> None:
        self.contract = contract
        self._tenants = tenants
        self._decoder = Watched(contract, tenants)
        self._exact = ExactDecoder(contract, tenants)
        self._kinds = [field.kind for field in contract.fields]

    def judge(self, payloads: Sequence[bytes | None]) -> list[Verdict]:
        """Decode the payloads as one batch; return what became of each.

        Raises:
            Broken: a promise was not kept.
        """
        try:
            decoded = self._decoder.decode(messages_of(payloads))
        except Exception as error:
            raise Broken(f"decoding raised {type(error).__name__}", self.contract, None) from error
        rows, dead = _by_offset(decoded.rows), _by_offset(decoded.dead)
        ended = sorted([*decoded.rows["_offset"].to_pylist(), *decoded.dead["_offset"].to_pylist()])
        if ended != list(range(len(payloads))):
            raise Broken("a message was lost or doubled", self.contract, None)
        verdicts = []
        for at, payload in enumerate(payloads):
            try:
                exact = self._exact.decode(payload)
            except Exception as error:
                what = f"the exact way raised {type(error).__name__}"
                raise Broken(what, self.contract, payload) from error
            if at in dead:
                verdict = self._judge_dead(payload, dead[at], exact)
            else:
                verdict = self._judge_row(
                    payload, rows[at], exact, was_bulk=bool(self._decoder.sure[at])
                )
            verdicts.append(verdict)
        return verdicts

    def _judge_dead(
        self, payload: bytes | None, letter: dict[str, Any], exact: Row | Reject
    ) -> Verdict:
        self._hold(isinstance(exact, Reject), "bulk refuses what exact takes", payload)
        assert isinstance(exact, Reject)
        self._hold(letter["payload"] == payload, "a dead letter has other bytes", payload)
        self._hold(letter["reason"] == exact.reason, "another reason than exact's", payload)
        self._hold(letter["reason"] in REASONS, "a reason that is not listed", payload)
        reason = _expected_reason(payload)
        self._hold(reason in (None, letter["reason"]), f"{letter['reason']}, not {reason}", payload)
        return Verdict(letter["reason"], was_bulk=False, rescued=len(exact.detail.split(",")))

    def _judge_row(
        self, payload: bytes | None, row: dict[str, Any], exact: Row | Reject, *, was_bulk: bool
    ) -> Verdict:
        self._hold(isinstance(exact, Row), "bulk takes what exact refuses", payload)
        assert isinstance(exact, Row)
        assert payload is not None
        self._hold(_expected_reason(payload) is None, "a row of what is no object", payload)
        values = [_comparable(f, row[f.name]) for f in self.contract.fields]
        wanted = [
            _comparable(f, value)
            for f, value in zip(self.contract.fields, exact.values, strict=True)
        ]
        self._hold(repr(values) == repr(wanted), "bulk and exact differ", payload)
        self._hold(row["_rescued"] == exact.rescued, "bulk and exact rescue differently", payload)
        self._judge_members(payload, row)
        return Verdict(
            "row",
            was_bulk,
            tuple(value is None for value in values),
            0 if exact.rescued is None else exact.rescued_fields,
        )

    def _judge_members(self, payload: bytes, row: dict[str, Any]) -> None:
        """Each member is in its column exactly, or in ``_rescued`` as it was; nothing else is."""
        members = _parsed(payload.decode())
        rescued = {} if row["_rescued"] is None else _parsed(row["_rescued"])
        self._hold(isinstance(rescued, dict), "_rescued is no object", payload)
        fields = {field.payload_name: field for field in self.contract.fields}
        for name in rescued:
            self._hold(name in members, "_rescued has what the message has not", payload)
        for name, member in members.items():
            column = row[fields[name].name] if name in fields else None
            if name in rescued:
                self._hold(_same(rescued[name], member), "rescued as something else", payload)
            elif member is not None or name not in fields:
                self._hold(column is not None, "a member is nowhere", payload)
            if column is not None:
                whole = _holds(fields[name], column, member)
                is_cut = fields[name].kind == "timestamp" and name in rescued
                self._hold(whole or is_cut, f"{name} is not what was sent", payload)
        for name in fields.keys() - members.keys():
            self._hold(row[fields[name].name] is None, f"{name} came from nowhere", payload)

    def _hold(self, is_so: bool, otherwise: str, payload: bytes | None) -> None:
        if not is_so:
            raise Broken(otherwise, self.contract, payload)


def _by_offset(table: pa.Table) -> dict[int, dict[str, Any]]:
    return {row["_offset"]: row for row in table.to_pylist()}


def _comparable(field: Field, value: Any) -> Any:
    if field.kind == "timestamp" and isinstance(value, dt.datetime):
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    return value


def _expected_reason(payload: bytes | None) -> str | None:
    """Return why a message is no object, as far as Python itself can tell; None: it is one."""
    if payload is None:
        return "tombstone"
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        return "not_json"
    if _depth(value) > 128 or _has_lone_surrogate(value):
        return "not_json"
    return None if isinstance(value, dict) else "not_an_object"


class _Written(str):
    """A number as it is written."""

    __slots__ = ()


def _parsed(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_int=_Written, parse_float=_Written, parse_constant=refuse)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        deepest += any(isinstance(one, dict | list) for one in level)
        level = inner
    return deepest


def _has_lone_surrogate(value: Any) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False))


def _number(text: str) -> Decimal | str:
    if not re.search("[1-9]", re.split("[eE]", text)[0]):
        return Decimal(0)  # whatever its power
    if len(text) > 1000:
        return text
    with localcontext(WIDE):
        try:
            value = Decimal(text)
        except InvalidOperation:
            return text
    return value


def _same(one: Any, other: Any) -> bool:
    """Compare JSON values: numbers by what they are, members without order, the last one counts."""
    if isinstance(one, _Written) and isinstance(other, _Written):
        return one == other or _number(one) == _number(other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _holds(field: Field, column: Any, member: Any) -> bool:
    """Tell whether ``column`` is what ``member`` says, neither rounded nor retyped."""
    is_number = isinstance(member, _Written)
    match field.kind:
        case "string":
            return not is_number and column == member
        case "boolean":
            return member is column
        case "number":
            return is_number and repr(column) == repr(float(member) or 0.0 * column)
        case "integer":
            return is_number and Decimal(column) == _number(member)
        case "decimal":
            return isinstance(member, str) and column == _number(member)
        case "timestamp":
            return not is_number and column == _moment(member)
        case "date":
            return not is_number and str(column) == member
        case "map":
            return isinstance(member, dict) and dict(column) == member
        case "json":
            return _same(_parsed(column), member)


def _moment(member: Any) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(member.upper().replace(" ", "T"))
    except (TypeError, ValueError, AttributeError):
        return None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
