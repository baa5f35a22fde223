"""lakeward's own API: which contract an entry names, and its payload."""

from __future__ import annotations

from typing import Any, Final

from ingest.collector import reasons
from ingest.collector.verdict import Rejected
from ingest.contracts.reasons import NOT_AN_OBJECT

DEFAULT_CONTRACT: Final = "app_events"
_MEMBERS: Final = frozenset({"contract", "payload"})


def read_entry(entry: object) -> tuple[str, dict[str, Any]] | Rejected:
    """Return the contract's name and the payload of one entry, or why it has none."""
    if type(entry) is not dict:
        return Rejected(NOT_AN_OBJECT, "the entry is no object")
    if not entry.keys() <= _MEMBERS:
        detail = (
            "an entry has the members contract and payload, and nothing else"
            if "payload" in entry
            else 'payload is missing; an event goes into it: {"payload": {...}}'
        )
        return Rejected(reasons.INVALID_FORM, detail)
    contract, payload = entry.get("contract", DEFAULT_CONTRACT), entry.get("payload")
    if type(contract) is not str:
        return Rejected(reasons.INVALID_FORM, "contract is no text")
    if type(payload) is not dict:
        return Rejected(reasons.INVALID_FORM, "payload is missing or no object")
    return contract, payload
