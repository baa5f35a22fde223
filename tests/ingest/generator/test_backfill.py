from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.model import Contract
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.message import Message
from ingest.generator.run import generate_events
from ingest.generator.sites import load_sites, sites_of

Payloads = dict[str, list[dict[str, Any]]]


def test_the_same_plan_makes_the_same_bytes(fortnight: Backfill) -> None:
    plan = replace(fortnight, events=6_000, fault_rate=0.1)
    assert list(generate_events(plan)) == list(generate_events(plan))


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"end": datetime(2025, 6, 3, tzinfo=UTC)}, {"events": 2_001}]
)
def test_another_plan_makes_other_ids(fortnight: Backfill, change: dict[str, Any]) -> None:
    plan = replace(fortnight, events=2_000)
    ids = {message.event_id for message in backfill_messages(plan)}
    others = {message.event_id for message in backfill_messages(replace(plan, **change))}
    assert not ids & others


def test_faults_leave_the_other_events_as_they_are(fortnight: Backfill) -> None:
    plan = replace(fortnight, events=3_000)
    clean = {m.event_id: m.value for m in backfill_messages(plan)}
    spoilt = list(backfill_messages(replace(plan, fault_rate=0.2)))
    assert {m.event_id for m in spoilt} == set(clean)
    assert all(clean[m.event_id] == m.value for m in spoilt if m.fault is None)


@pytest.mark.parametrize("events", [1, 7, 500, 12_345])
def test_it_makes_as_many_events_as_asked(fortnight: Backfill, events: int) -> None:
    made = list(backfill_messages(replace(fortnight, events=events)))
    assert len(made) == events
    assert len({m.event_id for m in made}) == events


@pytest.mark.parametrize(
    "names", [{"registrations"}, {"conversions", "ad_events"}, {"app_events"}, {"clickstream"}]
)
def test_it_makes_only_the_contracts_asked_for(fortnight: Backfill, names: set[str]) -> None:
    chosen = tuple(c for c in fortnight.contracts if c.name in names)
    made = list(backfill_messages(replace(fortnight, events=2_000, contracts=chosen)))
    assert {m.contract for m in made} == names
    assert len(made) == 2_000


_TRACE: Final = ("received_at", "request_id", "write_key_id")
_TAGS: Final = ("utm_term", "utm_content")
_COLLECTED: Final = {
    "clickstream": (*_TRACE, *_TAGS, "sent_at", "user_agent", "os"),
    "app_events": (
        *_TRACE[1:],
        *_TAGS,
        *("utm_source", "utm_medium", "utm_campaign", "referrer", "ip"),
        *("device_type", "browser", "os", "context"),
    ),
}
"""What the collector adds to an event: the generator writes to Kafka itself."""


def test_a_tenant_gets_events_of_its_own_sites_only(fortnight: Backfill) -> None:
    sites = sites_of(["globex"], load_sites())
    made = list(backfill_messages(replace(fortnight, events=2_000, sites=sites)))
    assert {m.payload["tenant_id"] for m in made} == {"globex"}
    shown = {m.payload["ico_website_id"] for m in made if m.contract == "clickstream"}
    assert shown <= {site.site_id for site in sites}


def test_messages_come_in_the_order_of_their_timestamps(
    fortnight: Backfill, clean: list[Message]
) -> None:
    times = [m.timestamp_ms for m in clean]
    assert times == sorted(times)
    assert fortnight.start_ms <= times[0]
    assert times[-1] <= fortnight.end_ms


def test_every_clean_event_keeps_its_contract(
    contracts: tuple[Contract, ...], clean: list[Message]
) -> None:
    for contract in contracts:
        validator = Draft202012Validator(payload_json_schema(contract))
        names = {f.payload_name for f in contract.fields} - set(
            _COLLECTED.get(contract.name, _TRACE)
        )
        own = [m for m in clean if m.contract == contract.name]
        for message in own[:: max(1, len(own) // 800)]:
            payload = orjson.loads(message.value)
            assert [e.message for e in validator.iter_errors(payload)] == []
            assert set(payload) == names


def test_the_key_is_what_the_contract_says(
    contracts: tuple[Contract, ...], clean: list[Message]
) -> None:
    by_name = {contract.name: contract for contract in contracts}
    for message in clean[:2_000]:
        contract = by_name[message.contract]
        names = [contract.field(column).payload_name for column in contract.message_key]
        assert message.key.decode() == "|".join(message.payload[name] for name in names)


def test_the_shares_of_the_contracts_are_as_stated(clean: list[Message]) -> None:
    counts = Counter(m.contract for m in clean)
    visits = sum(counts[c] for c in ("clickstream", "registrations", "conversions"))
    assert counts["clickstream"] / visits == pytest.approx(0.85, abs=0.02)
    assert counts["registrations"] / visits == pytest.approx(0.10, abs=0.015)
    assert counts["conversions"] / visits == pytest.approx(0.05, abs=0.01)
    assert counts["ad_events"] / len(clean) == pytest.approx(0.10, abs=0.001)
    assert counts["app_events"] / len(clean) == pytest.approx(0.10, abs=0.001)


def test_business_hours_are_busier_than_nights_and_weekdays_than_weekends(
    clean: list[Message],
) -> None:
    times = [datetime.fromtimestamp(m.timestamp_ms / 1000, UTC) for m in clean]
    hours = Counter(t.hour for t in times)
    assert hours[14] > 3 * hours[3]
    days = Counter(t.weekday() for t in times)
    assert min(days[d] for d in range(5)) > 1.4 * max(days[5], days[6])


def test_devices_and_countries_are_as_stated(payloads: Payloads) -> None:
    clicks = payloads["clickstream"]
    devices = Counter(p["device_type"] for p in clicks)
    for device, share in (("desktop", 0.6), ("mobile", 0.3), ("tablet", 0.1)):
        assert devices[device] / len(clicks) == pytest.approx(share, abs=0.03)
    countries = [country for country, _ in Counter(p["country"] for p in clicks).most_common()]
    assert set(countries[:5]) == {"US", "DE", "JP", "KR", "SG"}


def test_advertising_has_the_stated_shares_and_costs(payloads: Payloads) -> None:
    ads = payloads["ad_events"]
    kinds = Counter(p["event"] for p in ads)
    for kind, share in (("impression", 0.80), ("click", 0.15), ("conversion", 0.05)):
        assert kinds[kind] / len(ads) == pytest.approx(share, abs=0.03)
    bounds = {"impression": (0, 0), "click": (0.5, 2), "conversion": (5, 20)}
    assert all(bounds[p["event"]][0] <= p["cost"] <= bounds[p["event"]][1] for p in ads)


def test_product_events_come_from_every_channel_with_its_own_fields(payloads: Payloads) -> None:
    events = payloads["app_events"]
    assert {p["channel"] for p in events} == {"web", "mobile", "chat", "server"}
    own = {"web": "page_url", "mobile": "screen_name", "chat": "conversation_id"}
    for payload in events:
        for channel, name in own.items():
            assert (payload[name] is not None) == (payload["channel"] == channel)
        assert payload["occurred_at"] < payload["sent_at"] < payload["received_at"]


def test_some_visits_are_tagged_referred_and_in_experiments(payloads: Payloads) -> None:
    clicks = payloads["clickstream"]
    for name in ("utm_source", "referrer", "experiment", "variant", "user_id"):
        share = sum(p[name] is not None for p in clicks) / len(clicks)
        assert 0.1 < share < 0.95, name


def test_a_window_of_one_hour_is_enough(fortnight: Backfill) -> None:
    plan = replace(fortnight, start=fortnight.end - timedelta(hours=1), events=800)
    made = list(backfill_messages(plan))
    assert len(made) == 800
    assert all(plan.start_ms <= m.timestamp_ms <= plan.end_ms for m in made)
