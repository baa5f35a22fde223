"""Whether a payload would become a row: the quick answer where it is sure, else the exact one.

The definition is ``ingest.contracts.exact``, which the writer uses too: what is accepted here is
no dead letter there. Most events have text and a time in their required fields, and then a look at
these few is enough; a property test holds the two together.
"""

from __future__ import annotations

from typing import Any

from ingest.contracts.exact import ExactDecoder, Reject
from ingest.contracts.fit import MISFIT, fit_of
from ingest.contracts.model import Contract


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
        fitted = self._time_fit(value) if type(value) is str else None
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
