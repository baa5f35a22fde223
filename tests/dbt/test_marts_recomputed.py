"""The main marts against the same numbers in plain Python, from what the generator planned to send.

Nothing here reads the lake but to compare: the events are those that the generator's ledger is
written from, faults and all, and each number is worked out again by loops, not by SQL.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ingest.contracts.model import Field
from ingest.contracts.registry import load_contracts
from ingest.generator.backfill import Backfill, backfill_messages
from ingest.generator.message import Message
from ingest.generator.sites import load_sites
from tests.dbt.conftest import TestLake

CONTRACTS = tuple(load_contracts(None))
END = datetime(2026, 3, 9, tzinfo=UTC)
"""A Monday, so that the days before it are of two weeks."""
GAP = timedelta(minutes=30)
PAID = {"presale_participate", "token_purchase"}
CENT = Decimal("0.01")
Event = dict[str, Any]


@pytest.fixture(scope="module")
def sent() -> list[Message]:
    """Ten days of events with one in ten spoiled, doubled, late or in the future."""
    plan = Backfill(END - timedelta(days=10), END, 4000, CONTRACTS, load_sites(), 11, 0.1)
    return list(backfill_messages(plan))


@pytest.fixture(scope="module")
def lake(sent: list[Message], tmp_path_factory: pytest.TempPathFactory) -> TestLake:
    """The marts of these events, built in two increments."""
    lake = TestLake(tmp_path_factory.mktemp("recomputed"), END + timedelta(days=1))
    for half in (sent[: len(sent) // 2], sent[len(sent) // 2 :]):
        for contract in CONTRACTS:
            rows = [bronze_row(m) for m in half if m.contract == contract.name and not m.reason]
            lake.add(contract.name, rows)
        lake.build()
    return lake


@pytest.fixture(scope="module")
def events(sent: list[Message]) -> dict[str, list[Event]]:
    """By contract: what the ledger counts as events, each once."""
    found: dict[str, list[Event]] = defaultdict(list)
    for message in sent:
        if message.reason is None and message.fault != "duplicate":
            row = bronze_row(message)
            believed = message.fault != "future"
            at = row["occurred_at"] if believed else row["_appended_at"]
            found[message.contract].append({**row, "at": at, "day": at.date(), "ok": believed})
    for conversion in found["conversions"]:
        conversion["paid"] = conversion["conversion_type"] in PAID
        conversion["usd"] = conversion["amount_usd"] or Decimal(0)
    return found


def bronze_row(message: Message) -> Event:
    """Return the row that the writer makes of a message that is none of the dead ones."""
    (contract,) = (c for c in CONTRACTS if c.name == message.contract)
    row = {f.name: as_kept(f, message.payload.get(f.payload_name)) for f in contract.fields}
    at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
    return {**row, "_appended_at": at}


def as_kept(field: Field, value: Any) -> Any:
    """Return a value as bronze holds it; one of a wrong type is rescued, and null here."""
    if value is None:
        return None
    if field.kind in ("decimal", "number") and isinstance(value, str):
        return None
    if field.kind == "decimal":
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-field.scale))
    if field.kind == "timestamp":
        return None if value == "yesterday" else datetime.fromisoformat(value)
    if field.kind == "boolean":
        return value if isinstance(value, bool) else None
    return json.dumps(value) if field.kind == "json" else value


def grouped(rows: Iterable[Event], *key: str) -> dict[tuple[Any, ...], list[Event]]:
    found: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in key)].append(row)
    return found


def money_of(buys: list[Event]) -> tuple[Any, ...]:
    """Return purchases, revenue, tokens, payers and revenue a payer."""
    gross = sum((buy["usd"] for buy in buys), Decimal(0))
    tokens = sum((buy["token_amount"] or Decimal(0) for buy in buys), Decimal(0))
    payers = len({buy["user_id"] for buy in buys})
    known = any(buy["amount_usd"] is not None for buy in buys)
    each = (gross / payers).quantize(CENT, ROUND_HALF_UP) if known else None
    return len(buys), gross, tokens, payers, each


def assert_same(found: list[tuple[Any, ...]], expected: Mapping[tuple[Any, ...], Any]) -> None:
    """Compare rows, key first and the numbers after it."""
    assert len(expected) > 20
    width = len(next(iter(expected)))
    assert {row[:width]: row[width:] for row in found} == expected


def test_revenue_by_day_and_by_site(lake: TestLake, events: dict[str, list[Event]]) -> None:
    buys = [one for one in events["conversions"] if one["paid"]]
    for one in buys:
        one["method"] = one["payment_method"] or "unknown"
    by_day = grouped(buys, "tenant_id", "day", "site_id", "method")
    assert_same(
        lake.select(
            "select tenant_id, revenue_date, site_id, payment_method, purchase_count, gross_usd, "
            "token_amount, payer_count, arpu_usd from {gold.fct_revenue_daily}"
        ),
        {key: money_of(rows) for key, rows in by_day.items()},
    )
    by_site = grouped(buys, "tenant_id", "day", "site_id")
    assert_same(
        lake.select(
            "select tenant_id, revenue_date, site_id, purchase_count, gross_usd, token_amount, "
            "payer_count, arpu_usd from {gold.fct_revenue_by_site}"
        ),
        {key: money_of(rows) for key, rows in by_site.items()},
    )


def test_registrations(lake: TestLake, events: dict[str, list[Event]]) -> None:
    signups = events["registrations"]
    assert_same(
        lake.select(
            "select tenant_id, registration_date, site_id, country, verification_tier, "
            "registration_count, kyc_completed_count, kyc_unknown_count, marketing_consent_count, "
            "wallet_count from {gold.fct_registrations_daily}"
        ),
        {
            key: (
                len(rows),
                sum(row["kyc_completed"] is True for row in rows),
                sum(row["kyc_completed"] is None for row in rows),
                sum(row["consent_marketing"] is True for row in rows),
                sum(bool(row["wallet_address"]) for row in rows),
            )
            for key, rows in grouped(
                signups, "tenant_id", "day", "site_id", "country", "verification_tier"
            ).items()
        },
    )


def sessions_of(events: dict[str, list[Event]]) -> Iterator[tuple[str, str, list[Event]]]:
    """Yield tenant, visit and page events of each run without half an hour of silence."""
    for (tenant, visit), rows in grouped(
        (e for e in events["clickstream"] if e["ok"]), "tenant_id", "session_id"
    ).items():
        rows.sort(key=lambda e: (e["at"], e["event_id"]))
        cuts = [n for n, (a, b) in enumerate(pairwise(rows), 1) if b["at"] - a["at"] > GAP]
        for first, end in pairwise([0, *cuts, len(rows)]):
            yield tenant, visit, rows[first:end]


def test_sessions_and_what_was_bought_in_them(
    lake: TestLake, events: dict[str, list[Event]]
) -> None:
    conversions = grouped((c for c in events["conversions"] if c["ok"]), "tenant_id", "session_id")
    expected = {}
    for tenant, visit, rows in sessions_of(events):
        first, last = rows[0], rows[-1]
        inside = [
            c
            for c in conversions.get((tenant, visit), ())
            if first["at"] <= c["at"] <= last["at"] + GAP
        ]
        views = sum(row["event_type"] == "page_view" for row in rows)
        acts = sum(row["event_type"] in ("click", "form_interaction") for row in rows)
        expected[(tenant, visit, first["at"])] = (
            (last["at"] - first["at"]).total_seconds(),
            len(rows),
            views,
            views <= 1 and acts == 0,
            first["page_type"],
            last["page_type"],
            first["country"],
            first["device_type"],
            first["utm_source"],
            len(inside),
            any(c["paid"] for c in inside),
            sum((c["usd"] for c in inside if c["paid"]), Decimal(0)),
        )
    found = lake.select(
        "select tenant_id, session_id, started_at, duration_seconds, event_count, page_view_count, "
        "is_bounce, entry_page_type, exit_page_type, country, device_type, utm_source, "
        "conversion_count, is_converted, revenue_usd from {gold.fct_sessions}"
    )
    assert_same(found, expected)
    assert sum(row[-2] for row in found) > 20


def test_the_funnel_in_order_and_in_any(lake: TestLake, events: dict[str, list[Event]]) -> None:
    pages = [e for e in events["clickstream"] if e["ok"]]
    signups = [{**e, "step": 1} for e in events["registrations"] if e["ok"]]
    later = [
        {**e, "step": 3 if e["paid"] else 2}
        for e in events["conversions"]
        if e["ok"] and (e["paid"] or e["conversion_type"] == "wallet_connect")
    ]
    named = [e for e in [*pages, *events["registrations"], *events["conversions"]] if e["ok"]]
    owner: dict[tuple[Any, ...], str] = {}
    for e in sorted(named, key=lambda e: (e["at"], e["user_id"] or "")):
        if e["user_id"]:
            owner.setdefault((e["tenant_id"], e["day"], e["session_id"]), e["user_id"])

    def who(e: Event) -> tuple[Any, ...]:
        key = (e["tenant_id"], e["day"], e["session_id"])
        user = owner.get(key)
        return (e["tenant_id"], e["day"], "user", user) if user else (*key, "visit")

    taken: dict[tuple[Any, ...], list[tuple[int, datetime]]] = defaultdict(list)
    for e in [*signups, *later]:
        taken[who(e)].append((e["step"], e["at"]))
    visitors: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for e in pages:
        visitors[who(e)].append(e)
    counts: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 8)
    for visitor, rows in visitors.items():
        first = min(rows, key=lambda e: (e["at"], e["event_id"]))
        cell = counts[(*visitor[:2], first["site_id"], first["country"], first["device_type"])]
        cell[0] += len({e["session_id"] for e in rows})
        cell[1] += 1
        reached: datetime | None = first["at"]
        for step in (1, 2, 3):
            times = [at for number, at in taken[visitor] if number == step]
            cell[4 + step] += bool(times)
            in_order = [at for at in times if reached is not None and at >= reached]
            reached = min(in_order, default=None)
            cell[1 + step] += reached is not None
    assert_same(
        lake.select(
            "select tenant_id, funnel_date, site_id, country, device_type, sum(visit_count), "
            "sum(visitor_count), sum(signup_count), sum(wallet_connect_count), "
            "sum(purchase_count), sum(loose_signup_count), sum(loose_wallet_connect_count), "
            "sum(loose_purchase_count) from {gold.fct_funnel} group by all"
        ),
        {key: tuple(cell) for key, cell in counts.items()},
    )
    assert sum(cell[4] for cell in counts.values()) > 20


def people_of(events: dict[str, list[Event]]) -> dict[tuple[str, str], list[tuple[str, Event]]]:
    """Return each user's events, with those of the visits and devices that are the user's."""
    said: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for contract, rows in events.items():
        for e in rows if contract != "ad_events" else ():
            names = {"user": e["user_id"], "visit": e["session_id"]}
            if contract == "app_events":
                names = {"user": e["user_id"], "device": e["device_id"]}
            for kind, name in names.items():
                if name:
                    said[e["tenant_id"], kind, name].append({**e, "of": contract})
    people: dict[tuple[str, str], list[tuple[str, Event]]] = defaultdict(list)
    for (tenant, kind, _), rows in said.items():
        users = [(e["at"], e["user_id"]) for e in rows if e["user_id"]]
        if users:
            people[tenant, min(users)[1]] += [(kind, e) for e in rows]
    return people


def test_users_with_what_they_did_before_they_were_known(
    lake: TestLake, events: dict[str, list[Event]]
) -> None:
    expected = {}
    for key, rows in people_of(events).items():
        pages = [e for kind, e in rows if e["of"] == "clickstream" and kind == "visit" and e["ok"]]
        first = min(pages, key=lambda e: (e["at"], e["event_id"]), default=None)
        buys = [e for kind, e in rows if e["of"] == "conversions" and kind == "user" and e["paid"]]
        signups = [e["at"] for _, e in rows if e["of"] == "registrations" and e["ok"]]
        expected[key] = (
            min(e["at"] for _, e in rows),
            min(e["at"] for _, e in rows if e["user_id"]),
            max(e["at"] for _, e in rows),
            first and first["at"],
            first and first["utm_source"],
            first and first["site_id"],
            min(signups, default=None),
            len({e["session_id"] for kind, e in rows if kind == "visit"}),
            len({e["device_id"] for kind, e in rows if kind == "device"}),
            len(buys),
            sum((e["usd"] for e in buys), Decimal(0)),
        )
    found = lake.select(
        "select tenant_id, user_id, first_seen_at, identified_at, last_seen_at, first_page_at, "
        "first_utm_source, first_site_id, signed_up_at, visit_count, device_count, "
        "purchase_count, revenue_usd from {gold.dim_users}"
    )
    assert_same(found, expected)
    assert any(row[2] < row[3] for row in found), "nobody was seen before being known"


def test_users_who_come_back(lake: TestLake, events: dict[str, list[Event]]) -> None:
    days: dict[tuple[str, str], set[date]] = defaultdict(set)
    for contract, rows in events.items():
        for e in rows if contract != "ad_events" else ():
            if e["user_id"]:
                days[e["tenant_id"], e["user_id"]].add(e["day"])
    counts: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for (tenant, user), active in days.items():
        for period, length in (("day", 1), ("week", 7)):
            begins = {d - timedelta(d.weekday() if length == 7 else 0) for d in active}
            cohort = min(begins)
            for day in begins:
                counts[tenant, day, period, cohort, (day - cohort).days // length].add(user)
    assert_same(
        lake.select(
            "select tenant_id, activity_date, period, cohort_date, periods_since, user_count "
            "from {gold.fct_retention}"
        ),
        {key: (len(users),) for key, users in counts.items()},
    )


def test_projects_over_seven_days(lake: TestLake, events: dict[str, list[Event]]) -> None:
    seen: dict[tuple[str, date], list[tuple[str, str, Event]]] = defaultdict(list)
    for tenant, _, rows in sessions_of(events):
        seen[tenant, rows[0]["day"]].append(("session", rows[0]["site_id"], rows[0]))
    for e in events["registrations"]:
        seen[e["tenant_id"], e["day"]].append(("signup", e["site_id"], e))
    for e in events["conversions"]:
        if e["paid"]:
            seen[e["tenant_id"], e["day"]].append(("buy", e["site_id"], e))
    expected: dict[tuple[Any, ...], Any] = {}
    for tenant, day in list(seen):
        week = [x for n in range(7) for x in seen.get((tenant, day - timedelta(n)), ())]
        for site in {site for _, site, _ in week}:
            kinds = [kind for kind, of, _ in week if of == site]
            buys = [e for kind, of, e in week if of == site and kind == "buy"]
            money = sum((e["usd"] for e in buys), Decimal(0))
            expected[tenant, day, site] = (
                kinds.count("session"),
                kinds.count("signup"),
                len(buys),
                len({e["user_id"] for e in buys}),
                money,
            )
    assert_same(
        lake.select(
            "select tenant_id, report_date, site_id, session_count, registration_count, "
            "purchase_count, payer_count, revenue_usd from {gold.rpt_top_projects}"
        ),
        expected,
    )


def test_what_two_marts_show_is_the_same(lake: TestLake, tmp_path: Path) -> None:
    result = lake.dbt("test", "--select", "test_name:same_total")
    assert result.succeeded, result.failures()
    assert len(result.tests()) > 5
    [(users, revenue)] = lake.select(
        "select (select sum(revenue_usd) from {gold.dim_users}), "
        "(select sum(gross_usd) from {gold.fct_revenue_daily})"
    )
    assert users == revenue
