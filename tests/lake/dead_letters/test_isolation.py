"""A replay makes no row of another tenant, and none of a tenant that was erased."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import lake.dead_letters.landing
from lake.dead_letters.mending import parse_mending
from lake.dead_letters.selection import Selection
from lake.erasure.tenant import erase_tenant
from tests.lake.dead_letters.letterbox import EACH, SET_TIME, Letterbox
from tests.lake.writer.bench import CONTRACT, P0, batch, raw

HALF = EACH // 2
AT = "2026-01-01T00:00:00Z"


def taking_over(tenant: str) -> Any:
    return parse_mending(
        {
            "steps": [
                {"set": {"path": "$.at", "value": AT}},
                {"set": {"path": "$.tenant_id", "value": tenant}},
            ]
        },
        "taking over",
    )


def tenants_of(box: Letterbox) -> set[str]:
    return {row["tenant_id"] for row in box.rows() if row["_offset"] % 2}


def test_a_mended_letter_stays_its_tenants(box: Letterbox) -> None:
    done = box.replay(taking_over("acme"))
    assert done.failed == {"tenant_changed": HALF}
    assert tenants_of(box) == {"acme"}
    box.assert_whole(dead=HALF)


def test_a_tenant_change_that_is_named_is_let_through_and_no_other(box: Letterbox) -> None:
    other = frozenset({("acme", "zeta")})
    assert box.replay(taking_over("acme"), tenant_changes=other).failed == {"tenant_changed": HALF}
    named = frozenset({("zeta", "acme")})
    assert box.replay(taking_over("acme"), tenant_changes=named).replayed == {"visits": HALF}
    assert tenants_of(box) == {"acme"}


def test_a_letter_that_names_its_tenant_only_in_its_bytes_or_its_key_stays_its_tenants(
    box: Letterbox,
) -> None:
    sink = box.bench.sink()
    held = box.bench.take_over(sink, P0)[P0]
    in_bytes = json.dumps({"event_id": "e", "tenant_id": "zeta", "at": AT, "amount": None})[:-1]
    messages = [raw(P0, EACH, f"{in_bytes},,}}".encode())]
    sink.write(batch((P0, held, messages)))
    mending = parse_mending(
        {
            "steps": [
                {"replace": {"text": ",,}", "with": "}"}},
                {"set": {"path": "$.tenant_id", "value": "acme"}},
            ]
        },
        "repairing",
    )
    only = Selection(reason="not_json")
    assert box.replay(mending, selection=only).failed == {"tenant_changed": 1}


def test_a_tenant_that_is_not_known_yet_fails_and_is_replayed_when_it_is(box: Letterbox) -> None:
    assert box.replay(tenants=frozenset({"acme"})).failed == {"unknown_tenant": HALF}
    assert box.replay(tenants=frozenset({"acme", "zeta"})).replayed == {"visits": HALF}
    box.assert_whole()


def test_an_erased_tenant_does_not_come_back_by_a_replay_that_was_under_way(box: Letterbox) -> None:
    """The letters were read before the erasure, and are to be committed after it."""
    commit = lake.dead_letters.landing.Landing.land

    def late(self: Any, rows: Any) -> Any:
        if not erased:
            erased.append(erase_tenant(box.lake, "zeta", [CONTRACT], now=box.now))
        return commit(self, rows)

    erased: list[Any] = []
    with patch.object(lake.dead_letters.landing.Landing, "land", late):
        box.replay(SET_TIME)
    assert {row["tenant_id"] for row in box.rows()} == {"acme"}
    report = box.bench.audit()
    assert report.is_clean, report.findings
    assert (report.rows, report.dead, report.erased) == (EACH, 0, EACH)


def test_the_audit_is_whole_after_a_tenant_with_replayed_rows_was_erased(box: Letterbox) -> None:
    box.replay()
    erase_tenant(box.lake, "zeta", [CONTRACT], now=box.now)
    report = box.bench.audit()
    assert report.is_clean, report.findings
    assert (report.rows, report.replayed, report.erased) == (EACH, HALF, EACH)
