"""What goes wrong on the way: the faults that ``--quality-issues`` plants.

A message has one fault at most, so that each has one outcome that a test can look for. The
margins keep clear of the rules they test: late is over 24 hours and here at least 26, future is
over 1 hour and here at least 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from ingest.contracts.model import Contract, FieldKind
from ingest.generator.batch import Batch
from ingest.generator.draws import iso_times, pick
from ingest.generator.message import Fault, Message, Reason
from ingest.message_key import message_keys

DEFAULT_RATE: Final = 0.02
"""Share of events with a fault when no rate is given."""

WEIGHTS: Final[dict[Fault, int]] = {
    "missing_required": 14,
    "invalid_required": 6,
    "broken": 16,
    "wrong_type": 14,
    "unknown_field": 14,
    "duplicate": 20,
    "late": 10,
    "future": 6,
}

_HOUR_MS: Final = 3_600_000
_LATE_MS: Final = (26 * _HOUR_MS, 120 * _HOUR_MS)
_FUTURE_MS: Final = (3 * _HOUR_MS, 240 * _HOUR_MS)
_RESENT_MS: Final = ((200, 30_000), (60_000, _HOUR_MS), (_HOUR_MS, 72 * _HOUR_MS))
_RESENT_WEIGHTS: Final = (70, 25, 5)
_RESENT_LIVE_MS: Final = (200, 15_000)

_MISFITS: Final[dict[FieldKind, Any]] = {
    "integer": "several",
    "number": "fast",
    "decimal": "a lot",
    "boolean": "perhaps",
    "timestamp": "yesterday",
    "date": "yesterday",
}
"""A value that a field of this kind cannot take."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What faults need to know about a contract, by the names in its payloads."""

    event_id: str
    event_time: str
    required: tuple[str, ...]
    misfits: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, contract: Contract) -> _Shape:
        optional = (field for field in contract.fields if not field.required)
        return cls(
            event_id=contract.field(contract.key[-1]).payload_name,
            event_time=contract.field(contract.event_time).payload_name,
            required=tuple(field.payload_name for field in contract.fields if field.required),
            misfits=tuple(
                (f.payload_name, _MISFITS[f.kind]) for f in optional if f.kind in _MISFITS
            ),
        )


class Faults:
    """Turns events into messages, some of them with a fault.

    Draws from a stream of its own: the events are the same whatever the rate.

    Args:
        contracts: the contracts that events may be of.
        rate: the share of events to plant a fault in, 0 to 1.
        rng: where the faults are drawn from.
        end_ms: nothing is sent after this moment; None in a live run, where the messages of
            days ago cannot be sent any more and a late event is one that happened days ago.
    """

    def __init__(
        self,
        contracts: Sequence[Contract],
        rate: float,
        rng: np.random.Generator,
        end_ms: int | None,
    ) -> None:
        self._contracts = {contract.name: contract for contract in contracts}
        self._shapes = {contract.name: _Shape.of(contract) for contract in contracts}
        self._rate = rate
        self._rng = rng
        self._end_ms = end_ms

    def messages(self, batch: Batch) -> list[Message]:
        """Return a batch as messages, resent ones included, in no particular order."""
        contract, shape = self._contracts[batch.contract], self._shapes[batch.contract]
        name = contract.name
        sent = [
            Message(
                name, key, orjson.dumps(payload), at, payload, payload[shape.event_id], None, None
            )
            for key, payload, at in zip(
                message_keys([batch.columns[column] for column in contract.message_key]),
                batch.payloads(contract),
                batch.appended_ms.tolist(),
                strict=True,
            )
        ]
        if self._rate == 0:
            return sent
        chosen = np.flatnonzero(self._rng.random(len(sent)) < self._rate).tolist()
        faults = list(WEIGHTS)
        kinds = pick(self._rng, list(WEIGHTS.values()), len(chosen)).tolist()
        resent: list[Message] = []
        for row, kind in zip(chosen, kinds, strict=True):
            message = sent[row]
            if faults[kind] == "duplicate":
                resent.append(self._duplicate(message))
            else:
                occurred_ms = int(batch.occurred_ms[row])
                sent[row] = self._spoil(message, faults[kind], shape, occurred_ms)
        return sent + resent

    def _spoil(self, message: Message, fault: Fault, shape: _Shape, occurred_ms: int) -> Message:
        if fault == "missing_required":
            return self._missing(message, shape)
        if fault == "invalid_required":
            return _changed(message, {shape.event_time: "some time ago"}, fault, fault)
        if fault == "broken":
            return self._broken(message)
        if fault == "wrong_type" and shape.misfits:
            name, misfit = shape.misfits[self._rng.integers(len(shape.misfits))]
            return _changed(message, {name: misfit}, fault)
        if fault == "late" and (late := self._late(message, shape, occurred_ms)) is not None:
            return late
        if fault == "future":
            ahead = message.timestamp_ms + self._between(_FUTURE_MS)
            return _changed(message, {shape.event_time: _iso(ahead)}, fault)
        extra = {"build": int(self._rng.integers(1000)), "flags": ["beta"]}
        return _changed(message, {"client_debug": extra}, "unknown_field")

    def _missing(self, message: Message, shape: _Shape) -> Message:
        name = shape.required[self._rng.integers(len(shape.required))]
        payload = dict(message.payload)
        if self._rng.random() < 0.5:
            del payload[name]
        else:
            payload[name] = None
        return message._replace(
            value=orjson.dumps(payload),
            payload=payload,
            fault="missing_required",
            reason="missing_required",
        )

    def _broken(self, message: Message) -> Message:
        value, kind = message.value, self._rng.random()
        reason: Reason
        if kind < 0.7:
            reason, value = "not_json", value[: len(value) * 2 // 3]
        elif kind < 0.85:
            reason, value = "not_an_object", b"[" + value + b"]"
        else:
            reason, value = "not_utf8", value[:-2] + b'\xff\xfe"}'
        return message._replace(value=value, fault="broken", reason=reason)

    def _late(self, message: Message, shape: _Shape, occurred_ms: int) -> Message | None:
        if self._end_ms is None:
            before = message.timestamp_ms - self._between(_LATE_MS)
            return _changed(message, {shape.event_time: _iso(before)}, "late")
        room_ms = self._end_ms - occurred_ms
        least, most = _LATE_MS
        if room_ms <= least:
            return None
        sent_ms = occurred_ms + self._between((least, min(most, room_ms)))
        return message._replace(timestamp_ms=sent_ms, fault="late")

    def _duplicate(self, message: Message) -> Message:
        if self._end_ms is None:
            again = message.timestamp_ms + self._between(_RESENT_LIVE_MS)
        else:
            span = _RESENT_MS[pick(self._rng, _RESENT_WEIGHTS, 1)[0]]
            again = min(message.timestamp_ms + self._between(span), self._end_ms)
        return message._replace(timestamp_ms=again, fault="duplicate")

    def _between(self, span: tuple[int, int]) -> int:
        return int(self._rng.integers(span[0], span[1] + 1))


def _changed(
    message: Message, members: dict[str, Any], fault: Fault, reason: Reason | None = None
) -> Message:
    payload = {**message.payload, **members}
    return message._replace(
        value=orjson.dumps(payload), payload=payload, fault=fault, reason=reason
    )


def _iso(at_ms: int) -> str:
    return iso_times(np.array([at_ms], dtype=np.int64))[0]
