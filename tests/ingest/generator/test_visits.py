from __future__ import annotations

import itertools
from collections import Counter
from datetime import timedelta

from ingest.generator.message import Message
from tests.ingest.generator.conftest import END, when

Visits = dict[str, list[Message]]

OPEN = END - timedelta(hours=2)
"""Visits that began before this had time to end."""


def whole(visits: Visits) -> list[list[Message]]:
    return [messages for messages in visits.values() if when(messages[0]) < OPEN]


def signs_up(messages: list[Message]) -> bool:
    return any(message.contract == "registrations" for message in messages)


def test_a_visit_stays_with_one_tenant_site_and_person(visits: Visits) -> None:
    for messages in visits.values():
        assert len({m.payload["tenant_id"] for m in messages}) == 1
        assert len({m.payload.get("ico_website_id") or m.payload["site_id"] for m in messages}) == 1
        assert len({m.payload["user_id"] for m in messages} - {None}) <= 1


def test_nobody_signs_up_before_seeing_the_register_page(visits: Visits) -> None:
    signups = 0
    for messages in visits.values():
        seen = False
        for message in messages:
            if message.contract == "registrations":
                assert seen
                signups += 1
            seen |= message.payload.get("page_type") == "register"
    assert signups > 1_000


def test_wallets_come_after_sign_up_and_first_purchases_after_wallets(visits: Visits) -> None:
    purchases = 0
    for messages in visits.values():
        if not signs_up(messages):
            continue
        reached: set[str] = set()
        for message in messages:
            if message.contract == "registrations":
                reached.add("signup")
            elif message.contract == "conversions":
                kind = message.payload["conversion_type"]
                assert "signup" in reached
                if kind in ("token_purchase", "presale_participate"):
                    assert "wallet_connect" in reached
                    purchases += 1
                reached.add(kind)
    assert purchases > 200


def test_some_who_come_back_buy_and_do_nothing_else_that_counts(visits: Visits) -> None:
    bought = 0
    for messages in visits.values():
        conversions = [m.payload for m in messages if m.contract == "conversions"]
        if conversions and not signs_up(messages):
            (only,) = conversions
            assert only["conversion_type"] in ("token_purchase", "presale_participate")
            assert {m.payload["user_id"] for m in messages} == {only["user_id"]}
            bought += 1
    assert bought > 20


def test_the_person_is_known_from_the_sign_up_on(visits: Visits) -> None:
    for messages in visits.values():
        signups = [m for m in messages if m.contract == "registrations"]
        if not signups:
            continue
        for message in messages:
            known = message.payload["user_id"] is not None
            assert known == (when(message) >= when(signups[0])), message


def test_only_purchases_cost_and_they_cost_100_to_10000(visits: Visits) -> None:
    for messages in visits.values():
        for message in messages:
            if message.contract != "conversions":
                continue
            pays = message.payload["conversion_type"] in ("token_purchase", "presale_participate")
            for name in ("amount_usd", "token_amount", "token_symbol", "payment_method"):
                assert (message.payload[name] is not None) == pays
            if pays:
                assert 100 <= message.payload["amount_usd"] <= 10_000


def test_time_to_convert_counts_from_the_first_event_of_the_visit(visits: Visits) -> None:
    for messages in visits.values():
        for message in messages:
            if message.contract == "conversions":
                elapsed = (when(message) - when(messages[0])).total_seconds()
                assert abs(message.payload["time_to_convert"] - elapsed) < 0.01


def test_visits_last_30_seconds_to_over_30_minutes_on_1_to_15_pages(visits: Visits) -> None:
    lengths = [when(messages[-1]) - when(messages[0]) for messages in whole(visits)]
    assert min(lengths) >= timedelta(seconds=30)
    assert max(lengths) > timedelta(minutes=30)
    pages = [
        sum(m.payload.get("event_type") == "page_view" for m in messages)
        for messages in whole(visits)
    ]
    assert min(pages) == 1
    assert 10 <= max(pages) <= 15


def test_no_silence_in_a_visit_is_long_enough_to_end_it(visits: Visits) -> None:
    for messages in visits.values():
        for before, after in itertools.pairwise(messages):
            assert timedelta(0) < when(after) - when(before) < timedelta(minutes=30)


def test_people_who_signed_up_come_back_and_not_before(visits: Visits) -> None:
    signed_up = {
        m.payload["user_id"]: when(m)
        for messages in visits.values()
        for m in messages
        if m.contract == "registrations"
    }
    back = 0
    for messages in visits.values():
        user = messages[0].payload["user_id"]
        if user in signed_up:
            assert when(messages[0]) > signed_up[user]
            back += 1
    assert back > 50


def test_a_page_refers_to_the_page_before(visits: Visits) -> None:
    referred: Counter[bool] = Counter()
    for messages in visits.values():
        views = [m.payload for m in messages if m.payload.get("event_type") == "page_view"]
        for before, after in itertools.pairwise(views):
            referred[after["referrer"] == before["page_url"]] += 1
    assert referred[True] > 1_000
    assert referred[False] == 0
