"""Do to one payload what a mending file says.

Numbers keep their digits and members their order: the text is read and written by the same code
that decoding uses (``ingest.contracts.json_text``), never through a float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from jsonpath import JSONPathMatch

from ingest.contracts.exact import TENANT
from ingest.contracts.json_text import Members, NotJsonError, Number, Value, compact, parse
from ingest.contracts.model import Contract
from ingest.importer.transforms import timestamp
from lake.dead_letters.mending import LAST_NAME, PATHS, Cast, Mending, Rename, Set, Step

LONGEST_INT: Final = 4_000
"""Digits of an integer that Python turns into an ``int``; longer ones stay decimals."""


MOST_DIGITS: Final = 40
"""Of an integer that a cast makes: no column holds more, and 1e999999999 would take all memory."""


class CannotMendError(ValueError):
    """A step cannot be taken; says which and why, and never a value of the payload."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What Kafka kept with the message."""

    appended_at: datetime
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Mended:
    """A payload after mending."""

    payload: bytes
    tenant_before: str | None
    """The tenant that the payload named as soon as it could be read as JSON."""


class Mender:
    """Applies one mending file to letters of one contract."""

    def __init__(self, mending: Mending, contract: Contract) -> None:
        self._mending = mending
        names = [field.payload_name for field in contract.fields if field.name == TENANT]
        self._tenant = names[0] if names else None

    def mend(self, payload: bytes | None, kept: Kept) -> Mended:
        """Return the mended payload.

        Raises:
            CannotMendError: a step cannot be taken.
        """
        if payload is None:
            raise CannotMendError("the message has no value, so there is nothing to mend")
        text = self._text(payload)
        try:
            document = from_value(parse(text))
        except NotJsonError as error:
            if self._mending.of_members:
                raise CannotMendError(f"it is still no JSON: {error}") from None
            return Mended(text.encode(), None)  # decoding will say the same
        before = self._tenant_of(document)
        if not self._mending.of_members:
            return Mended(text.encode(), before)
        for at, step in enumerate(self._mending.steps):
            if not step.is_of_text:
                try:
                    document = _take(step, document, kept)
                except CannotMendError as error:
                    raise CannotMendError(f"step {at + 1} ({step.verb}): {error}") from None
        return Mended(compact(to_value(document)).encode(), before)

    def _text(self, payload: bytes) -> str:
        encoding = "utf-8"
        for step in self._mending.of_text:
            if step.encoding is not None:
                encoding = step.encoding.source
        try:
            text = payload.decode(encoding)
        except (UnicodeDecodeError, UnicodeError):
            raise CannotMendError(f"the bytes are not {encoding}") from None
        for step in self._mending.of_text:
            change = step.replace
            if change is not None and change.regex:
                text = re.sub(change.text, change.by, text)
            elif change is not None:
                text = text.replace(change.text, change.by)
        return text

    def _tenant_of(self, document: Any) -> str | None:
        if self._tenant is None or not isinstance(document, dict):
            return None
        tenant = document.get(self._tenant)
        return tenant if isinstance(tenant, str) else None


def _take(step: Step, document: Any, kept: Kept) -> Any:
    if step.set is not None:
        return _set(step.set, document, kept)
    if step.rename is not None:
        return _rename(step.rename, document)
    if step.cast is not None:
        return _cast(step.cast, document)
    assert step.drop is not None
    return _drop(step.drop.path, document)


def _set(step: Set, document: Any, kept: Kept) -> Any:
    value = step.value
    if step.source is not None:
        found = PATHS.findall(step.source, document)
        if not found:
            return document
        value = found[0]
    elif step.letter == "appended_at":
        value = kept.appended_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    elif step.letter == "key":
        if kept.key is None:
            return document
        value = _text_of_key(kept.key)
    parts = LAST_NAME.fullmatch(step.path)
    if parts is None or parts["parent"].endswith("."):
        # an element of a list, or a member at any depth: only what is there can be set
        for match in _matches(step.path, document):
            if not (step.only_missing and match.obj is not None):
                document = _put(document, match, _copy(value))
        return document
    name = parts["plain"] or _unquoted(parts["quoted"])
    for match in _matches(parts["parent"], document):
        holder = match.obj
        if isinstance(holder, dict) and not (step.only_missing and holder.get(name) is not None):
            holder[name] = _copy(value)
    return document


def _rename(step: Rename, document: Any) -> Any:
    for match in _matches(step.path, document):
        holder = None if match.parent is None else match.parent.obj
        if not isinstance(holder, dict):
            raise CannotMendError("only a member of an object has a name")
        name = match.parts[-1]
        if step.to != name and step.to in holder:
            raise CannotMendError(f"there is a member {step.to} already")
        renamed = {step.to if key == name else key: value for key, value in holder.items()}
        holder.clear()
        holder.update(renamed)
    return document


def _cast(step: Cast, document: Any) -> Any:
    change = timestamp(step.form) if step.form is not None else _CASTS[step.to]
    for match in _matches(step.path, document):
        if match.obj is None:
            continue
        try:
            value = change(match.obj)
        except (ValueError, TypeError, OverflowError, OSError, InvalidOperation, NotJsonError):
            kind = _KINDS.get(type(match.obj), "a value")
            raise CannotMendError(f"{kind} that is no {step.to}") from None
        document = _put(document, match, value)
    return document


def _drop(path: str, document: Any) -> Any:
    # from the back, so that the places of a list's elements stay what they were
    for match in reversed(_matches(path, document)):
        if match.parent is None:
            raise CannotMendError("the whole message cannot be dropped")
        holder: Any = match.parent.obj
        last = match.parts[-1]
        if isinstance(holder, dict):
            holder.pop(last, None)
        else:
            del holder[int(last)]
    return document


def _put(document: Any, match: JSONPathMatch, value: Any) -> Any:
    if match.parent is None:
        return value
    holder: Any = match.parent.obj
    holder[match.parts[-1]] = value
    return document


def _matches(path: str, document: Any) -> list[JSONPathMatch]:
    if not isinstance(document, dict | list):
        raise CannotMendError("the message is no object")
    return list(PATHS.finditer(path, document))


def _copy(value: Any) -> Any:
    """Return a value that shares nothing: it may be put in several places and changed later."""
    if isinstance(value, Mapping):
        return {str(key): _copy(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(element) for element in value]
    return value


def from_value(value: Value) -> Any:
    """Return a JSON value in dicts, lists, ``int`` and ``Decimal``; of a name twice, the last."""
    if isinstance(value, Number):
        whole = value.lstrip("-").isdigit() and value != "-0"
        return int(value) if whole and len(value) <= LONGEST_INT else Decimal(value)
    if isinstance(value, Members):
        return {name: from_value(member) for name, member in value}
    if isinstance(value, list):
        return [from_value(element) for element in value]
    return value


def to_value(document: Any) -> Value:
    """Return what ``from_value`` makes, or a mending file has, as JSON values."""
    if document is None or isinstance(document, bool):
        return document
    if isinstance(document, int | Decimal):
        return Number(document)
    if isinstance(document, float):
        return Number(json.dumps(document, allow_nan=False))
    if isinstance(document, Mapping):
        return Members((str(name), to_value(member)) for name, member in document.items())
    if isinstance(document, list | tuple):
        return [to_value(element) for element in document]
    return document.isoformat() if hasattr(document, "isoformat") else str(document)


def _text_of_key(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise CannotMendError("the message's key is not UTF-8") from None


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = inner.replace("\\'", "'").replace('"', '\\"')
    return str(json.loads(f'"{inner}"'))


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else compact(to_value(value))


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    number = Decimal(value.strip() if isinstance(value, str) else value)
    if number.adjusted() > MOST_DIGITS or number != number.to_integral_value():
        raise ValueError
    return int(number)


def _number(value: Any) -> int | Decimal:
    if isinstance(value, bool):
        return int(value)
    number = Decimal(value.strip() if isinstance(value, str) else value)
    if not number.is_finite():
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "yes"):
        return True
    if text in ("false", "0", "no"):
        return False
    raise ValueError


_CASTS: Final[dict[str, Callable[[Any], Any]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "json": lambda value: from_value(parse(value)),
}

_KINDS: Final = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    Decimal: "a number",
    dict: "an object",
    list: "a list",
}
