"""The product marts, worked out a second time in plain Python from what the generator sent."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest

from ingest.contracts.exact import ExactDecoder, Row
from ingest.contracts.registry import load_contracts
from ingest.experiments import assign
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.product import EXPERIMENT, GOAL, VARIANTS
from ingest.generator.sites import load_sites
from lake.dbt_run import PROJECT

END = datetime(2026, 3, 1, 8, tzinfo=UTC)
EVENTS = 4_000
MODELS = (
    "experiments",
    "sites",
    "stg_app_events",
    "stg_conversions",
    "int_user_days",
    "int_experiment_events",
    "fct_active_users",
    "fct_activity_heatmap",
    "fct_conversations",
    "fct_events_by_channel",
    "fct_experiments",
    "fct_screen_flows",
)
Event = dict[str, Any]


@pytest.fixture(scope="module")
def sent() -> list[tuple[dict[str, Any], Event]]:
    """Each message of a fortnight that becomes a row: its bronze row, and its payload."""
    contract = load_contracts(None).by_name("app_events")
    plan = Backfill(
        END - timedelta(days=40), END, EVENTS, (contract,), load_sites(), seed=11, fault_rate=0.05
    )
    decoder = ExactDecoder(contract, None)
    rows = []
    for message in backfill_messages(plan):
        decoded = decoder.decode(message.value)
        if isinstance(decoded, Row):
            values = zip((field.name for field in contract.fields), decoded.values, strict=True)
            at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
            rows.append(({**dict(values), "_appended_at": at}, message.payload))
    return rows


@pytest.fixture(scope="module")
def built(make_lake: Any, sent: list[tuple[dict[str, Any], Event]]) -> Any:
    """The lake built in two increments, of which the second holds the later half."""
    lake = make_lake()
    half = len(sent) // 2
    for part in (sent[:half], sent[half:]):
        lake.now = max(row["_appended_at"] for row, _ in part)
        lake.add("app_events", [row for row, _ in part], minutes=0)
        lake.build("--select", *MODELS)
    return lake


@pytest.fixture(scope="module")
def events(sent: list[tuple[dict[str, Any], Event]]) -> list[Event]:
    """Each event once, with ``at``: the time it counts at, and ``believed``: is that its own."""
    seen: set[tuple[str, str]] = set()
    found = []
    for row, payload in sent:
        key = (payload["tenant_id"], payload["event_id"])
        if key in seen:
            continue
        seen.add(key)
        occurred = datetime.fromisoformat(payload["occurred_at"])
        believed = occurred <= row["_appended_at"] + timedelta(hours=1)
        at = occurred if believed else row["_appended_at"]
        # A fault may have cost a field: what the row holds counts.
        found.append({**payload, **row, "at": at, "believed": believed})
    return found


def day(event: Event) -> date:
    found: date = event["at"].date()
    return found


def test_events_by_channel_and_the_heatmap(built: Any, events: list[Event]) -> None:
    counts = Counter(
        (e["tenant_id"], day(e), e["channel"] or "unknown", e["event_type"]) for e in events
    )
    users = defaultdict(set)
    for e in events:
        if e["user_id"] is not None:
            users[e["tenant_id"], day(e), e["channel"] or "unknown", e["event_type"]].add(
                e["user_id"]
            )
    rows = built.select(
        "select tenant_id, event_date, channel, event_type, event_count, user_count "
        "from {gold.fct_events_by_channel}"
    )
    assert {row[:4]: row[4] for row in rows} == counts
    assert {row[:4]: row[5] for row in rows if row[5]} == {k: len(v) for k, v in users.items()}
    hours = Counter(
        (e["tenant_id"], day(e), day(e).isoweekday(), e["at"].hour, e["channel"] or "unknown")
        for e in events
    )
    heat = built.select(
        "select tenant_id, activity_date, day_of_week, hour_of_day, channel, event_count "
        "from {gold.fct_activity_heatmap}"
    )
    assert {row[:5]: row[5] for row in heat} == hours


def test_active_users_in_each_window(built: Any, events: list[Event]) -> None:
    active: dict[str, dict[date, set[str]]] = defaultdict(lambda: defaultdict(set))
    for e in events:
        if e["user_id"] is not None and e["channel"] != "server":
            active[e["tenant_id"]][day(e)].add(e["user_id"])
    expected = {}
    for tenant, days in active.items():
        for number in range((max(days) - min(days)).days + 1):
            today = min(days) + timedelta(days=number)
            counts = [
                len(set().union(*(days.get(today - timedelta(n), set()) for n in range(window))))
                for window in (1, 7, 30)
            ]
            if counts[2]:
                expected[tenant, today] = (*counts, pytest.approx(counts[0] / counts[2]))
    rows = built.select(
        "select tenant_id, activity_date, daily_user_count, weekly_user_count, "
        "monthly_user_count, stickiness_share from {gold.fct_active_users}"
    )
    assert len(rows) > 90
    assert {row[:2]: row[2:] for row in rows} == expected


def screens(events: list[Event]) -> Iterator[tuple[tuple[Any, ...], float | None]]:
    """Yield (tenant, day, channel, from, to) and the seconds on the first screen."""
    sessions = defaultdict(list)
    for e in events:
        if e["believed"] and e["session_id"] and (e["screen_name"] or e["page_url"]):
            sessions[e["tenant_id"], day(e), e["session_id"]].append(e)
    for (tenant, when, _), seen in sessions.items():
        views: list[tuple[str, str, datetime]] = []
        for e in sorted(seen, key=lambda e: (e["at"], e["event_id"])):
            screen = e["screen_name"] or urlsplit(e["page_url"]).path or "/"
            if not views or views[-1][1] != screen:
                views.append((e["channel"] or "unknown", screen, e["at"]))
        yield (tenant, when, views[0][0], "(entry)", views[0][1]), None
        for (channel, screen, at), after in zip(views, [*views[1:], None], strict=True):
            stay = None if after is None else (after[2] - at).total_seconds()
            yield (tenant, when, channel, screen, "(exit)" if after is None else after[1]), stay


def test_screen_flows(built: Any, events: list[Event]) -> None:
    stays = defaultdict(list)
    for flow, stay in screens(events):
        stays[flow].append(stay)
    rows = built.select(
        "select tenant_id, flow_date, channel, from_screen, to_screen, flow_count, "
        "median_stay_seconds from {gold.fct_screen_flows}"
    )
    assert len(rows) > 200
    assert {row[:5]: row[5] for row in rows} == {flow: len(all_) for flow, all_ in stays.items()}
    for row in rows:
        known = [stay for stay in stays[row[:5]] if stay is not None]
        assert row[6] == (pytest.approx(median(known)) if known else None)


def test_conversations(built: Any, events: list[Event]) -> None:
    talks = defaultdict(list)
    for e in events:
        if e["believed"] and e["conversation_id"]:
            talks[e["tenant_id"], e["conversation_id"]].append(e)
    expected = {}
    for key, said in talks.items():
        said.sort(key=lambda e: e["at"])
        messages = [e for e in said if e["event_type"] in ("message", "message_reply")]
        expected[key] = (
            said[0]["at"].date(),
            pytest.approx((said[-1]["at"] - said[0]["at"]).total_seconds()),
            len(said),
            len(messages),
            sum(json.loads(e["properties"] or "{}").get("bot") is True for e in messages),
            len({e["user_id"] for e in said} - {None}),
            any(e["event_type"] == "handover_to_agent" for e in said),
        )
    rows = built.select(
        "select tenant_id, conversation_id, conversation_date, duration_seconds, event_count, "
        "message_count, bot_message_count, participant_count, is_handed_over "
        "from {gold.fct_conversations}"
    )
    assert len(rows) > 50
    assert {row[:2]: row[2:] for row in rows} == expected


def test_the_experiment_finds_the_effect_that_was_planted(built: Any, events: list[Event]) -> None:
    shown: dict[tuple[str, str], list[Event]] = defaultdict(list)
    done: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for e in events:
        if e["believed"] and e["user_id"]:
            if e["event_type"] == "experiment_exposure":
                shown[e["tenant_id"], e["user_id"]].append(e)
            elif e["event_type"] == GOAL:
                done[e["tenant_id"], e["user_id"]].append(e["at"])
    exposed: Counter[tuple[str, str]] = Counter()
    converted: Counter[tuple[str, str]] = Counter()
    for (tenant, user), times in shown.items():
        variants = {json.loads(e["properties"] or "{}").get("variant") for e in times} - {None}
        if len(variants) == 1:
            [variant] = variants
            assert variant == assign(EXPERIMENT, user, VARIANTS)
            first = min(e["at"] for e in times if e["properties"])
            exposed[tenant, variant] += 1
            converted[tenant, variant] += any(
                first <= at <= first + timedelta(days=14) for at in done[tenant, user]
            )
    rows = built.select(
        "select tenant_id, variant, exposed_count, converted_count, misassigned_count, "
        "mixed_count, has_sample_ratio_mismatch from {gold.fct_experiments}"
    )
    assert {row[:2]: row[2] for row in rows} == exposed
    assert {row[:2]: row[3] for row in rows} == {key: converted[key] for key in exposed}
    assert {row[4:] for row in rows} == {(0, 0, False)}


def test_the_generator_and_the_seed_mean_the_same_experiment() -> None:
    with (PROJECT / "seeds" / "experiments.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["experiment_id"] == EXPERIMENT]
    assert {line["variant"]: int(line["weight"]) for line in lines} == VARIANTS
    assert {line["goal_type"] for line in lines} == {GOAL}
