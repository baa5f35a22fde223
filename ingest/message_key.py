"""The Kafka key of an event: messages with one key keep their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingest.contracts.model import Contract

_SEPARATOR = "|"


def message_key(contract: Contract, payload: Mapping[str, Any]) -> bytes | None:
    """Return the key of a payload, or None when it has no value that the key is made of."""
    names = [contract.field(column).payload_name for column in contract.message_key]
    values = [payload.get(name) for name in names]
    return None if all(value is None for value in values) else join_key(values)


def message_keys(columns: Sequence[Iterable[Any]]) -> list[bytes]:
    """Return the keys of many events, from the columns that keys are made of."""
    rows = list(zip(*columns, strict=True))
    try:
        return [_SEPARATOR.join(values).encode() for values in rows]  # nearly always all text
    except TypeError:
        return [join_key(values) for values in rows]


def join_key(values: Iterable[Any]) -> bytes:
    """Write the values of a key, in the contract's order, as ``tenant|session``."""
    known = list(values)
    try:
        return _SEPARATOR.join(known).encode()  # nearly always all text
    except TypeError:
        return _SEPARATOR.join("" if v is None else str(v) for v in known).encode()


def split_key(key: bytes) -> list[str]:
    """Return the values that a key was made of, as text; a value that has a ``|`` is cut there."""
    return key.decode(errors="replace").split(_SEPARATOR)
