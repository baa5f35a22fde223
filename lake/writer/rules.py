"""How messages are told into rows and dead letters, and a number that stands for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from ingest.contracts.model import Contract


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides the fate of the messages of one topic."""

    contract: Contract
    tenants: frozenset[str] | None
    """The known ones; None: every tenant is known."""


def rules_number(contract: Contract, known_tenants: frozenset[str] | None) -> int:
    """Return a number below 2**63 that changes when the fate of a message may.

    Two writers with one number put every message in the same place. When the numbers differ (a
    newer contract, other tenants, another release), the newer owner of a partition first claims
    it in both tables, so that the older one can no longer commit; see ``lake.writer.sink``.
    """
    what = {
        "contract": {k: v for k, v in asdict(contract).items() if k != "path"},
        "tenants": None if known_tenants is None else sorted(known_tenants),
        "release": version("lakeward"),
    }
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
