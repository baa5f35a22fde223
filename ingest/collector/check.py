"""Whether a payload would become a row: the quick answer where it is sure, else the exact one.

The definition is ``ingest.contracts.exact``, which the writer uses too: what is accepted here is
no dead letter there. Most events have text and a time in their required fields, and then a look at
these few is enough; a property test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ingest.contracts.exact import ExactDecoder, Reject
from ingest.contracts.fit import MISFIT, fit_of
from ingest.contracts.model import Contract

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USUAL: Final = frozenset({20, 24, 27})
"""The length of a time to the second, millisecond or microsecond, with a Z."""
_USUAL_OFFSET: Final = frozenset({25, 29, 32})
"""The same with +00:00."""


def micros_of_usual_text(text: str) -> int | None:
    """Return the microseconds since 1970 that a time in the form of most clients is.

    None for any other form, which ``ingest.contracts.fit`` may still take. Python's own parser
    takes more forms than that, so the places of the signs are looked at first.
    """
    if not (
        (len(text) in _USUAL and text[-1] == "Z")
        or (len(text) in _USUAL_OFFSET and text[-6:] == "+00:00")
    ) or (
        text[10] != "T"
        or text[4] != "-"
        or text[7] != "-"
        or text[13] != ":"
        or text[16] != ":"
        or text[19] not in ".Z+"
    ):
        return None
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class EventCheck:
    """Checks the events of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._exact = ExactDecoder(contract, None)
        required = [field for field in contract.fields if field.required]
        self._texts = tuple(f.payload_name for f in required if f.kind == "string")
        self._others = tuple(
            (f.payload_name, fit_of(f)) for f in required if f.kind in ("timestamp", "date")
        )
        self._is_simple = len(self._texts) + len(self._others) == len(required)
        time = contract.field(contract.event_time)
        self._time_name = time.payload_name
        self._time_fit = fit_of(time)

    def occurred_at(self, members: dict[str, Any]) -> int | None:
        """Return when the event says it happened, microseconds since 1970 UTC; None if unclear."""
        value = members.get(self._time_name)
        if type(value) is not str:
            return None
        quick = micros_of_usual_text(value)
        if quick is not None:
            return quick
        fitted = self._time_fit(value)
        return fitted if isinstance(fitted, int) else None

    def is_surely_a_row(self, members: dict[str, Any], occurred_at: int | None) -> bool:
        """True when the payload of these members becomes a row; False means not sure."""
        if occurred_at is None or not self._is_simple:
            return False
        for name in self._texts:
            if type(members.get(name)) is not str:
                return False
        for name, fit in self._others:
            if name == self._time_name:
                continue
            value = members.get(name)
            if type(value) is not str or fit(value) is MISFIT:
                return False
        return True

    def exactly(self, payload: bytes) -> Reject | None:
        """Return why ``payload`` would be a dead letter, None when it would be a row."""
        decoded = self._exact.decode(payload)
        return decoded if isinstance(decoded, Reject) else None
