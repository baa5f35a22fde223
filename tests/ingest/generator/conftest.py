"""A made-up fortnight that many tests look at, made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.message import Message
from ingest.generator.sites import load_sites

END = datetime(2025, 6, 2, tzinfo=UTC)
EVENTS = 40_000


@pytest.fixture(scope="session")
def contracts() -> tuple[Contract, ...]:
    return tuple(load_contracts(None))


@pytest.fixture(scope="session")
def fortnight(contracts: tuple[Contract, ...]) -> Backfill:
    """Two weeks, clean."""
    return Backfill(END - timedelta(days=14), END, EVENTS, contracts, load_sites(), seed=7)


@pytest.fixture(scope="session")
def clean(fortnight: Backfill) -> list[Message]:
    return list(backfill_messages(fortnight))


@pytest.fixture(scope="session")
def visits(clean: list[Message]) -> dict[str, list[Message]]:
    """The messages of each visit, by time of the event."""
    found: dict[str, list[Message]] = {}
    for message in clean:
        if message.contract in ("clickstream", "registrations", "conversions"):
            found.setdefault(message.payload["session_id"], []).append(message)
    for messages in found.values():
        messages.sort(key=when)
    return found


def when(message: Message) -> datetime:
    names = {"clickstream": "timestamp", "ad_events": "ts"}
    return datetime.fromisoformat(message.payload[names.get(message.contract, "occurred_at")])


@pytest.fixture(scope="session")
def payloads(clean: list[Message]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for message in clean:
        found.setdefault(message.contract, []).append(message.payload)
    return found
