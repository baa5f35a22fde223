"""That a lost, doubled or invented event is found by counting, and that a build raises no alarm."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from expectations.check import run
from expectations.result import SuiteResult
from tests.expectations.small_lake import CONTRACTS, NOW, SmallLake


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path)


def reconcile(small: SmallLake) -> SuiteResult:
    report = run(
        small.lake,
        CONTRACTS,
        data_docs=small.docs,
        now=NOW,
        tables=["silver.stg_conversions"],
        full=True,
    )
    (found,) = [
        one
        for one in report.suites
        if one.suite.endswith("reconciliation") or "read" in (one.skipped or "")
    ]
    return found


def unmet(found: SuiteResult) -> dict[str, int]:
    """The rules that did not hold and by how much the first row is off."""
    told = {}
    for rule in found.failures("block"):
        assert rule.column is not None
        told[rule.column] = rule.sample[0][rule.column]
    return told


def test_duplicates_and_rejected_rows_add_up(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(5)]
    twice = [small.conversion("c1"), small.conversion("c1"), small.conversion("c2")]
    bad = [small.conversion(""), small.conversion("c4", conversion_type="gift")]
    small.write_bronze([*rows, *twice, *bad])
    small.write_silver(rows, rejected=bad)
    found = reconcile(small)
    assert found.success
    assert found.skipped is None
    assert found.rules[0].observed == (
        "contract conversions, bronze_rows 10, silver_rows 5, duplicates 3, rejected 2"
    )


def test_an_event_that_silver_lost_is_counted(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(5)]
    small.write_bronze(rows)
    small.write_silver(rows[1:])
    assert unmet(reconcile(small)) == {"difference": 1, "lost_events": 1}


def test_an_event_that_silver_has_twice_is_counted(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(5)]
    small.write_bronze(rows)
    small.write_silver([*rows, rows[0]])
    assert unmet(reconcile(small)) == {"difference": -1}


def test_an_invented_event_does_not_make_up_for_a_lost_one(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(5)]
    small.write_bronze(rows)
    small.write_silver([*rows[1:], {**rows[0], "conversion_id": "invented"}])
    assert unmet(reconcile(small)) == {"lost_events": 1, "unexplained_events": 1}


def test_a_row_that_is_rejected_and_kept_is_counted(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(5)]
    small.write_bronze(rows)
    small.write_silver(rows, rejected=rows[:1])
    assert unmet(reconcile(small)) == {"difference": -1, "unexplained_events": 1}


def test_rows_that_silver_has_not_read_yet_are_no_loss(small: SmallLake) -> None:
    rows = [small.conversion("a")]
    small.write_bronze(rows)
    small.write_silver(rows)
    small.write_bronze([small.conversion("not yet modelled")])
    assert reconcile(small).success


def test_a_build_that_stopped_half_way_is_skipped_with_the_versions(small: SmallLake) -> None:
    rows = [small.conversion("a")]
    small.write_bronze(rows)
    small.write_silver(rows)
    small.write_bronze([small.conversion("b")])
    small.derive(
        "silver",
        "stg_conversions",
        small.lake.open("silver", "stg_conversions").to_pyarrow_table(),
        ("bronze", "conversions"),
    )
    found = reconcile(small)
    assert found.skipped is not None
    assert "stg_conversions version 1" in found.skipped
    assert "stg_rejected_events version 0" in found.skipped


def test_revenue_that_gold_misses_or_doubles_is_found(small: SmallLake) -> None:
    rows = [
        small.conversion("a", amount_usd=Decimal("10.10")),
        small.conversion("b", amount_usd=Decimal("0.20"), tenant_id="globex"),
        small.conversion("c", conversion_type="wallet_connect", amount_usd=None),
    ]
    small.write_bronze(rows)
    small.write_silver(rows)

    def gold(acme: str, globex: str) -> dict[str, dict[str, float]]:
        day = NOW.date()
        small.write_revenue(
            [
                {"tenant_id": t, "revenue_date": day, "purchase_count": 1, "gross_usd": Decimal(a)}
                for t, a in (("acme", acme), ("globex", globex))
            ]
        )
        report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, layers=["gold"])
        return {rule.rule: dict(rule.sample[0]) for _, rule in report.failures("block")}

    assert gold("10.10", "0.20") == {}
    (wrong,) = gold("10.10", "0.40").values()
    assert wrong["tenant_id"] == "globex"
    assert (wrong["gross_usd_in_events"], wrong["gross_usd"]) == (0.2, 0.4)


def test_an_amount_below_zero_blocks(small: SmallLake) -> None:
    rows = [small.conversion("a", amount_usd=Decimal("-5.00"))]
    small.write_bronze(rows)
    small.write_silver(rows)
    small.write_revenue(
        [
            {
                "tenant_id": "acme",
                "revenue_date": NOW.date(),
                "purchase_count": 1,
                "gross_usd": Decimal("-5.00"),
            }
        ]
    )
    report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, layers=["gold"])
    assert [rule.rule for _, rule in report.failures("block")] == ["gross_usd is not negative"]
