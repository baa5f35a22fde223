"""The window and marketing marts, worked out a second time in plain Python from what was sent."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

from ingest.contracts.exact import ExactDecoder
from ingest.contracts.exact import Row as DecodedRow
from ingest.contracts.registry import load_contracts
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.sites import load_sites

END = datetime(2026, 3, 3, 19, tzinfo=UTC)
EVENTS = 3_000
KEYS = {
    "clickstream": "event_id",
    "registrations": "registration_id",
    "conversions": "conversion_id",
    "ad_events": "event_id",
}
MODELS = (
    *("sites", *(f"stg_{contract}" for contract in KEYS), "int_touches"),
    *(f"fct_metrics_{window}m" for window in (1, 5, 15, 60)),
    *("fct_campaign_1m", "fct_campaign_daily", "fct_attribution_daily"),
)
PURCHASES = ("presale_participate", "token_purchase")
MEASURES = (
    *("event_count", "session_count", "user_count", "page_view_count", "registration_count"),
    *("conversion_count", "purchase_count", "revenue_usd"),
)
SOCIAL = (
    *("x", "twitter", "facebook", "instagram", "tiktok", "reddit", "linkedin", "youtube"),
    *("telegram", "t", "discord", "medium"),
)
Event = dict[str, Any]


@pytest.fixture(scope="module")
def sent() -> dict[str, list[Event]]:
    """The rows that the messages of three days become, by contract, as the exact decoder has it."""
    contracts = tuple(load_contracts(None).by_name(name) for name in KEYS)
    decoders = {contract.name: ExactDecoder(contract, None) for contract in contracts}
    names = {c.name: [field.name for field in c.fields] for c in contracts}
    plan = Backfill(
        END - timedelta(days=3), END, EVENTS, contracts, load_sites(), seed=5, fault_rate=0.1
    )
    rows: dict[str, list[Event]] = defaultdict(list)
    for message in backfill_messages(plan):
        decoded = decoders[message.contract].decode(message.value)
        if isinstance(decoded, DecodedRow):
            values = dict(zip(names[message.contract], decoded.values, strict=True))
            at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
            rows[message.contract].append({**values, "_appended_at": at})
    return rows


@pytest.fixture(scope="module")
def built(make_lake: Any, sent: dict[str, list[Event]]) -> Any:
    """The lake built in two increments, cut at a moment in the middle."""
    lake = make_lake()
    cut = END - timedelta(days=1.5)
    for is_late in (False, True):
        parts = {
            contract: [row for row in rows if (row["_appended_at"] >= cut) == is_late]
            for contract, rows in sent.items()
        }
        lake.now = max(row["_appended_at"] for rows in parts.values() for row in rows)
        for contract, part in parts.items():
            lake.add(contract, part, minutes=0)
        lake.build("--select", *MODELS)
    return lake


@pytest.fixture(scope="module")
def events(sent: dict[str, list[Event]]) -> dict[str, list[Event]]:
    """Each event once, with ``at``: when it counts, and ``believed``: whether that is its own."""
    found: dict[str, list[Event]] = {}
    for contract, rows in sent.items():
        firsts: dict[tuple[str, str], Event] = {}
        for row in rows:
            occurred = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=row["occurred_at"])
            believed = occurred <= row["_appended_at"] + timedelta(hours=1)
            at = occurred if believed else row["_appended_at"]
            firsts.setdefault(
                (row["tenant_id"], row[KEYS[contract]]), {**row, "at": at, "believed": believed}
            )
        found[contract] = list(firsts.values())
    for row in found["clickstream"]:
        row["channel"] = traffic_channel(row)
    return found


def traffic_channel(row: Event) -> str:
    """Say where a page event came from, as the head of macros/traffic_channel.sql does."""
    medium, source = (row["utm_medium"] or "").lower(), row["utm_source"] or ""
    if medium in ("cpc", "ppc", "display", "banner") or medium.startswith("paid"):
        return "paid"
    if medium in ("email", "newsletter"):
        return "email"
    if medium.startswith("social"):
        return "social"
    if medium in ("affiliate", "referral", "partner"):
        return "referral"
    if source or medium:
        return "campaign"
    host, own = host_of(row["referrer"]), host_of(row["page_url"])
    if host in ("", own):
        return "direct"
    name = host.removeprefix("search.").split(".")[0]
    if name in ["google", "bing", "duckduckgo", "baidu", "yandex", "ecosia", "naver", "yahoo"]:
        return "organic_search"
    return "social" if name in SOCIAL else "referral"


def host_of(url: str | None) -> str:
    host = (urlsplit(url or "").hostname or "").lower()
    return re.sub(r"^(www|m|l)\.", "", host)


def by(rows: Iterable[Event], key: Callable[[Event], Any]) -> dict[Any, list[Event]]:
    grouped: dict[Any, list[Event]] = defaultdict(list)
    for row in rows:
        grouped[key(row)].append(row)
    return grouped


def floor(moment: datetime, minutes: int) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    window = timedelta(minutes=minutes)
    return midnight + (moment - midnight) // window * window


def percentile_95(values: list[float]) -> float | None:
    if not values:
        return None
    ordered, place = sorted(values), 0.95 * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_metrics_by_window(built: Any, events: dict[str, list[Event]], minutes: int) -> None:
    visits = by(events["clickstream"], lambda e: (e["tenant_id"], e["at"].date(), e["session_id"]))
    channels = {
        visit: min(rows, key=lambda e: (e["at"], e["event_id"]))["channel"]
        for visit, rows in visits.items()
    }

    def cell(event: Event) -> tuple[Any, ...]:
        visit = (event["tenant_id"], event["at"].date(), event["session_id"])
        return (
            event["tenant_id"],
            floor(event["at"], minutes),
            event["site_id"] or "unknown",
            channels.get(visit, "unknown"),
        )

    pages, signups, steps = (by(events[name], cell) for name in list(KEYS)[:3])
    expected, load_times = {}, {}
    for key in {*pages, *signups, *steps}:
        paid = [e for e in steps[key] if e["conversion_type"] in PURCHASES]
        expected[key] = (
            len(pages[key]),
            len({e["session_id"] for e in pages[key]}),
            len({e["user_id"] for e in pages[key]} - {None}),
            sum(e["event_type"] == "page_view" for e in pages[key]),
            len(signups[key]),
            len(steps[key]),
            len(paid),
            sum((e["amount_usd"] or Decimal(0) for e in paid), Decimal(0)),
        )
        load_times[key] = percentile_95(
            [e["page_load_time"] * 1000 for e in pages[key] if e["page_load_time"] is not None]
        )
    found = built.select(
        f"select tenant_id, window_start, site_id, channel, {', '.join(MEASURES)}, "
        f"p95_page_load_ms from {{gold.fct_metrics_{minutes}m}}"
    )
    assert {row[:4]: row[4:-1] for row in found} == expected
    for row in found:
        assert row[-1] == (None if row[-1] is None else pytest.approx(load_times[row[:4]]))
    assert sum(1 for row in found if row[-1] is not None) == sum(
        1 for value in load_times.values() if value is not None
    )
    assert len({row[3] for row in found}) > 3


def test_windows_of_every_length_add_up_to_the_same_day(built: Any) -> None:
    additive = [name for name in MEASURES if name not in ("session_count", "user_count")]
    sums = ", ".join(f"sum({name})" for name in additive)
    one, *others = (
        built.select(
            f"select tenant_id, metric_date, site_id, channel, {sums} "
            f"from {{gold.fct_metrics_{window}m}} group by all order by all"
        )
        for window in (1, 5, 15, 60)
    )
    assert all(other == one for other in others)
    counts = "sum(impression_count), sum(click_count), sum(conversion_count), sum(spend_usd)"
    minutes, days = (
        built.select(f"select tenant_id, {day}, {counts} from {table} group by all order by all")
        for day, table in (
            ("metric_date", "{gold.fct_campaign_1m}"),
            ("campaign_date", "{gold.fct_campaign_daily}"),
        )
    )
    assert minutes == days


def each(spend: Decimal, count: int) -> Decimal | None:
    if count == 0:
        return None
    return (spend / count).quantize(Decimal("0.0001"), ROUND_HALF_UP)


@pytest.mark.parametrize("minutes", [1, 1440])
def test_campaigns(built: Any, events: dict[str, list[Event]], minutes: int) -> None:
    expected = {}
    cells = by(
        events["ad_events"],
        lambda e: (e["tenant_id"], floor(e["at"], minutes), e["campaign_id"], e["channel"]),
    )
    for key, ads in cells.items():
        seen, clicks, wins = (
            sum(e["event"] == kind for e in ads) for kind in ("impression", "click", "conversion")
        )
        spend = sum((e["cost"] or Decimal(0) for e in ads), Decimal(0))
        expected[key] = (
            *(seen, clicks, wins, spend, clicks / seen if seen else None),
            *(each(spend, clicks), each(spend, wins), wins / clicks if clicks else None),
        )
    table, start = (
        ("fct_campaign_1m", "window_start")
        if minutes == 1
        else ("fct_campaign_daily", "campaign_date::timestamptz")
    )
    found = built.select(
        f"select tenant_id, {start}, campaign_id, channel, impression_count, click_count, "
        f"conversion_count, spend_usd, ctr, cpc_usd, cpa_usd, conversion_rate from {{gold.{table}}}"
    )
    assert {row[:4]: row[4:] for row in found} == expected
    assert len(found) > 30


def test_attribution(built: Any, events: dict[str, list[Event]]) -> None:
    touches = [
        (e["at"], "ad_click", e["event_id"], e["campaign_id"], e)
        for e in events["ad_events"]
        if e["event"] == "click" and e["user_id"] is not None and e["believed"]
    ] + [
        (e["at"], "visit", e["event_id"], e["utm_campaign"] or "none", e)
        for e in events["clickstream"]
        if e["channel"] != "direct" and e["believed"]
    ]
    credit: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for bought in events["conversions"]:
        if bought["conversion_type"] not in PURCHASES:
            continue
        led = [
            touch
            for touch in touches
            if bought["believed"]
            and touch[4]["tenant_id"] == bought["tenant_id"]
            and timedelta(0) <= bought["at"] - touch[0] <= timedelta(days=30)
            and (
                touch[4]["user_id"] == bought["user_id"]
                or touch[4].get("session_id") == bought["session_id"]
            )
        ]
        for model, pick in (("first_touch", min), ("last_touch", max)):
            touch = pick(led, key=lambda t: t[:3]) if led else None
            to = ("none", "unattributed") if touch is None else (touch[3], touch[4]["channel"])
            credit[(bought["tenant_id"], bought["at"].date(), model, *to)].append(bought)
    expected = {
        key: (
            len(rows),
            len({e["user_id"] for e in rows}),
            sum((e["amount_usd"] or Decimal(0) for e in rows), Decimal(0)),
        )
        for key, rows in credit.items()
    }
    found = built.select(
        "select tenant_id, attribution_date, attribution_model, campaign_id, channel, "
        "purchase_count, payer_count, revenue_usd from {gold.fct_attribution_daily}"
    )
    assert {row[:5]: row[5:] for row in found} == expected
    assert len({key[4] for key in expected}) > 3
