from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.model import Contract
from ingest.errors import GeneratorError
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.ledger import Ledger, Recorder
from ingest.generator.message import Message

RATE = 0.15


@pytest.fixture(scope="module")
def spoilt(fortnight: Backfill) -> list[Message]:
    return list(backfill_messages(replace(fortnight, events=20_000, fault_rate=RATE)))


@pytest.fixture(scope="module")
def ledger(
    spoilt: list[Message],
    contracts: tuple[Contract, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ledger:
    folder = tmp_path_factory.mktemp("generator")
    recorder = Recorder("test", folder, contracts, {"seed": 7}, keep_events=True)
    for message in spoilt:
        recorder.record(message)
    written = recorder.close(len(spoilt), complete=True)
    assert written.path is not None
    return Ledger.load(written.path)


class Reader:
    """Tells messages apart from their bytes alone, by the rules that the writer is held to."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.required = [f.payload_name for f in contract.fields if f.required]
        self.names = {f.payload_name for f in contract.fields}
        schema = payload_json_schema(contract)["properties"]
        self.fits = {name: Draft202012Validator(schema[name]) for name in self.names}
        self.event_time = contract.field(contract.event_time).payload_name
        self.key = [contract.field(name).payload_name for name in contract.key]

    def read(self, value: bytes) -> tuple[str, dict[str, Any]]:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return "not_utf8", {}
        try:
            payload = orjson.loads(text)
        except orjson.JSONDecodeError:
            return "not_json", {}
        if not isinstance(payload, dict):
            return "not_an_object", {}
        if any(payload.get(name) is None for name in self.required):
            return "missing_required", {}
        if not all(self.fits[name].is_valid(payload[name]) for name in self.required):
            return "invalid_required", {}
        return "row", payload

    def is_rescued(self, payload: dict[str, Any]) -> bool:
        unknown = set(payload) - self.names
        misfit = [n for n in payload if n in self.names and not self.fits[n].is_valid(payload[n])]
        return bool(unknown or misfit)


def test_the_ledger_is_what_the_bytes_say(
    ledger: Ledger, spoilt: list[Message], contracts: tuple[Contract, ...]
) -> None:
    for contract in contracts:
        reader = Reader(contract)
        own = [m for m in spoilt if m.contract == contract.name]
        dead: Counter[str] = Counter()
        seen: set[tuple[str, ...]] = set()
        counts: Counter[str] = Counter()
        for message in own:
            outcome, payload = reader.read(message.value)
            if outcome != "row":
                dead[outcome] += 1
                continue
            key = tuple(payload[name] for name in reader.key)
            if key in seen:
                counts["duplicates"] += 1
                continue
            seen.add(key)
            occurred_ms = _ms(payload[reader.event_time])
            counts["rescued"] += reader.is_rescued(payload)
            counts["late"] += message.timestamp_ms - occurred_ms > 24 * 3_600_000
            counts["future"] += occurred_ms - message.timestamp_ms > 3_600_000
        entry = ledger.contracts[contract.name]
        assert entry.topic == contract.topic
        assert entry.messages == len(own)
        assert entry.dead_letters == dict(dead)
        assert entry.events == len(seen)
        assert entry.duplicates == counts["duplicates"]
        assert (entry.rescued, entry.late, entry.future) == (
            counts["rescued"], counts["late"], counts["future"]
        )  # fmt: skip
        assert min(entry.rescued, entry.late, entry.future, entry.duplicates, entry.dead) > 0
        assert entry.messages == entry.rows + entry.dead


def test_the_share_of_faults_is_the_rate_asked_for(spoilt: list[Message]) -> None:
    share = sum(m.fault is not None for m in spoilt) / 20_000
    assert share == pytest.approx(RATE, abs=0.01)


def test_late_and_future_times_keep_clear_of_the_rules(spoilt: list[Message]) -> None:
    names = {"clickstream": "timestamp", "ad_events": "ts"}
    for message in spoilt:
        if message.reason is not None or message.fault == "duplicate":
            continue
        occurred = _ms(message.payload[names.get(message.contract, "occurred_at")])
        behind = timedelta(milliseconds=message.timestamp_ms - occurred)
        if message.fault == "late":
            assert behind >= timedelta(hours=26)
        elif message.fault == "future":
            assert behind <= -timedelta(hours=3)
        else:
            assert timedelta(0) < behind < timedelta(seconds=5)


def test_a_copy_is_the_same_bytes_and_comes_later(spoilt: list[Message]) -> None:
    originals: dict[str, Message] = {}
    copies = 0
    for message in spoilt:
        if message.fault == "duplicate":
            original = originals[message.event_id]
            assert (message.key, message.value) == (original.key, original.value)
            assert message.timestamp_ms >= original.timestamp_ms
            copies += 1
        else:
            originals[message.event_id] = message
    assert copies > 100


def test_the_totals_are_the_sums_of_the_good_events(ledger: Ledger, spoilt: list[Message]) -> None:
    revenue: dict[tuple[Any, ...], list[Decimal]] = {}
    signups: Counter[tuple[Any, ...]] = Counter()
    for message in spoilt:
        if message.reason is not None or message.fault == "duplicate":
            continue
        payload = orjson.loads(message.value)
        future = message.fault == "future"
        if message.contract == "conversions":
            key = (
                payload["occurred_at"][:10], future, payload["tenant_id"], payload["site_id"],
                payload["conversion_type"],
            )  # fmt: skip
            amount = payload["amount_usd"]
            is_number = isinstance(amount, int | float)
            revenue.setdefault(key, []).append(Decimal(str(amount)) if is_number else Decimal(0))
        elif message.contract == "registrations":
            day = payload["occurred_at"][:10]
            signups[(day, future, payload["tenant_id"], payload["site_id"])] += 1
    told = {
        (e["date"], e["is_future"], e["tenant_id"], e["site_id"], e["conversion_type"]): e
        for e in ledger.totals["events"]["conversions"]
    }
    assert {k: e["count"] for k, e in told.items()} == {k: len(v) for k, v in revenue.items()}
    assert {k: Decimal(e["amount_usd"]) for k, e in told.items()} == {
        k: sum(v) for k, v in revenue.items()
    }
    assert {
        (e["date"], e["is_future"], e["tenant_id"], e["site_id"]): e["count"]
        for e in ledger.totals["events"]["registrations"]
    } == dict(signups)


@pytest.mark.parametrize("with_future", [True, False])
def test_the_funnel_counts_each_visit_once_a_step(
    ledger: Ledger, spoilt: list[Message], with_future: bool
) -> None:
    steps: dict[str, set[str]] = {
        "visited": set(), "registered": set(), "connected": set(), "purchased": set()
    }  # fmt: skip
    for message in spoilt:
        if message.reason is not None or (message.fault == "future" and not with_future):
            continue
        payload = orjson.loads(message.value)
        if message.contract == "clickstream":
            steps["visited"].add(payload["session_id"])
        elif message.contract == "registrations":
            steps["registered"].add(payload["session_id"])
        elif message.contract == "conversions":
            kind = payload["conversion_type"]
            if kind == "wallet_connect":
                steps["connected"].add(payload["session_id"])
            elif kind != "whitelist_join":
                steps["purchased"].add(payload["session_id"])
    told = [row for row in ledger.totals["funnel"] if row["with_future"] == with_future]
    for step, sessions in steps.items():
        assert sum(row[step] for row in told) == len(sessions), step


def test_the_list_of_messages_has_a_row_for_each(ledger: Ledger, spoilt: list[Message]) -> None:
    table = ledger.events()
    assert table.num_rows == len(spoilt)
    outcomes = Counter(table["outcome"].to_pylist())
    assert outcomes["row"] == sum(e.events for e in ledger.contracts.values())
    assert outcomes["duplicate"] == sum(e.duplicates for e in ledger.contracts.values())
    assert outcomes["dead_letter"] == sum(e.dead for e in ledger.contracts.values())
    assert table["event_id"].to_pylist() == [m.event_id for m in spoilt]


def test_a_ledger_without_a_list_says_how_to_get_one(ledger: Ledger) -> None:
    with pytest.raises(GeneratorError) as caught:
        replace(ledger, events_file=None).events()
    assert "--ledger-events" in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format": 99}'])
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ledger-x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GeneratorError, match=r"ledger-x\.json"):
        Ledger.load(path)


def _ms(text: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)
