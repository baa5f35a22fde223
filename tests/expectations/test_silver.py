"""Flags, volumes, sessions and the funnel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from expectations.check import run
from expectations.references import REFERENCES
from expectations.result import CheckReport
from lake.tables import Layer
from tests.expectations.small_lake import CONTRACTS, NOW, SmallLake


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path)


def failures(small: SmallLake, table: str, now: datetime = NOW) -> list[str]:
    report = run(small.lake, CONTRACTS, data_docs=small.docs, now=now, tables=[table], full=True)
    return [rule.rule for _, rule in report.failures()]


def test_future_dated_events_beyond_their_share_warn(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(20)]
    small.write_bronze(rows)
    small.write_silver([{**row, "is_future": n < 1} for n, row in enumerate(rows)])
    assert failures(small, "silver.stg_conversions") == []
    small.write_silver([{**row, "is_future": n < 2} for n, row in enumerate(rows)])
    found = failures(small, "silver.stg_conversions", NOW + timedelta(minutes=1))
    assert found == ["is_future holds for at most 5%"]


def volume(small: SmallLake, per_day: list[int]) -> CheckReport:
    """Check tables with so many events a day, the last one being the day before NOW."""
    rows = [
        small.conversion(f"{day}-{n}", occurred_at=NOW - timedelta(days=len(per_day) - day))
        for day, count in enumerate(per_day)
        for n in range(count)
    ]
    small.write_bronze(rows)
    small.write_silver(rows)
    return run(
        small.lake,
        CONTRACTS,
        data_docs=small.docs,
        now=NOW,
        tables=["silver.stg_conversions"],
    )


@pytest.mark.parametrize(("last", "holds"), [(10, True), (49, True), (60, False), (1, False)])
def test_the_last_day_is_held_against_the_days_before_it(
    small: SmallLake, last: int, holds: bool
) -> None:
    report = volume(small, [10, 10, 10, 10, last])
    found = [rule for _, rule in report.failures("warn")]
    assert ([] if holds else [float(last) / 10]) == [
        rule.sample[0]["times_the_usual"] for rule in found
    ]


def test_a_first_flood_is_not_its_own_baseline(small: SmallLake) -> None:
    """Five days are needed: with the judged day among them, a flood would look usual."""
    report = volume(small, [10, 10, 1000])
    (found,) = [one for one in report.suites if one.suite.endswith(".volume")]
    assert found.skipped == "there are too few rows to judge"


def test_a_session_that_ends_before_it_starts_blocks(small: SmallLake) -> None:
    sessions = pa.table(
        {
            "tenant_id": ["acme", "acme"],
            "session_id": ["s1", "s2"],
            "duration_seconds": [10.0, -1.0],
            "event_count": [1, 2],
        }
    )
    write_deltalake(small.lake.uri("silver", "int_sessions"), sessions)
    assert failures(small, "silver.int_sessions") == ["a session does not end before it starts"]


def test_a_funnel_that_widens_blocks_and_names_the_row(small: SmallLake) -> None:
    funnel = pa.table(
        {
            "tenant_id": ["acme", "globex"],
            "visit_count": [10, 10],
            "signup_count": [5, 5],
            "wallet_connect_count": [2, 6],
            "purchase_count": [1, 0],
        }
    )
    write_deltalake(small.lake.uri("gold", "fct_funnel"), funnel)
    report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, tables=["gold.fct_funnel"])
    ((_, found),) = report.failures("block")
    assert found.rule == "wallet_connect_count is at most signup_count"
    assert found.sample[0] == {
        "tenant_id": "globex",
        "signup_count": 5.0,
        "wallet_connect_count": 6.0,
    }


def test_a_model_of_the_users_own_gets_the_rules_for_amounts(small: SmallLake) -> None:
    mine = pa.table({"tenant_id": ["acme"], "refund_usd": [-1.0], "delta": [-1.0]})
    write_deltalake(small.lake.uri("gold", "fct_mine"), mine)
    assert failures(small, "gold.fct_mine") == ["refund_usd is not negative"]


@pytest.mark.parametrize(("last_day", "holds"), [(0.5, True), (0.7, True), (0.95, False)])
def test_a_day_of_other_kinds_of_events_warns_and_names_the_value(
    small: SmallLake, last_day: float, holds: bool
) -> None:
    """Half of the payments are in ETH on most days."""
    rows = [
        small.conversion(
            f"{day}-{n}",
            occurred_at=NOW - timedelta(days=6 - day),
            payment_method="ETH" if n < 200 * (last_day if day == 5 else 0.5) else "BTC",
        )
        for day in range(6)
        for n in range(200)
    ]
    small.write_bronze(rows)
    small.write_silver(rows)
    table = "silver.stg_conversions"
    report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, tables=[table])
    found = [rule for _, rule in report.failures("warn") if "kinds" in rule.rule]
    assert (found == []) is holds
    if not holds:
        assert found[0].sample[0]["column_name"] == "payment_method"
        assert found[0].sample[0]["its_usual_share"] == 0.5


def test_an_exposure_to_an_experiment_that_nobody_knows_warns(small: SmallLake) -> None:
    seed = {"tenant_id": ["*"], "experiment_id": ["hero"], "variant": ["control"]}
    write_deltalake(small.lake.uri("silver", "experiments"), pa.table(seed))
    shown = ["control", "purple"]
    events = pa.table(
        {
            "tenant_id": ["acme"] * 2,
            "event_id": ["e1", "e2"],
            "user_id": ["u1", "u2"],
            "event_type": ["experiment_exposure"] * 2,
            "event_date": pa.array([NOW.date()] * 2, pa.date32()),
            "properties": [f'{{"experiment_id": "hero", "variant": "{v}"}}' for v in shown],
        }
    )
    write_deltalake(small.lake.uri("silver", "stg_app_events"), events)
    table = "silver.stg_app_events"
    report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, tables=[table])
    ((_, found),) = report.failures("warn")
    assert found.rule == "an exposure names an experiment and a variant of the seed"
    assert [row["variant"] for row in found.sample] == ["purple"]


def test_a_visit_a_conversion_and_a_user_that_are_nowhere_warn(small: SmallLake) -> None:
    yesterday = NOW.date() - timedelta(days=1)
    visits, conversions, users = (reference.rule for reference in REFERENCES)

    def write(layer: Layer, table: str, **columns: Sequence[object]) -> None:
        kinds = {name: pa.date32() for name in columns if name.endswith("_date")}
        data = {name: pa.array(values, kinds.get(name)) for name, values in columns.items()}
        write_deltalake(small.lake.uri(layer, table), pa.table(data))

    write(
        "silver",
        "int_sessions",
        tenant_id=["acme"] * 2,
        session_id=["s1", "s2"],
        session_date=[yesterday] * 2,
    )
    write(
        "silver",
        "int_touches",
        tenant_id=["acme"] * 4,
        session_id=["s1", None, "lost", "of_today"],
        touch_date=[yesterday] * 3 + [NOW.date()],
    )
    rows = [
        small.conversion(
            f"c{n}",
            tenant_id=tenant,
            session_id="s2" if n > lost else f"lost-{n}",
            occurred_at=NOW - timedelta(days=1),
        )
        for tenant, lost in (("acme", 0), ("globex", 40))
        for n in range(40)
    ]
    small.write_bronze(rows)
    small.write_silver(rows)
    write("gold", "dim_users", tenant_id=["acme", "globex"], user_id=["u1", "u2"])
    write(
        "gold",
        "fct_sessions",
        tenant_id=["acme"] * 3,
        user_id=["u1", "u2", None],
        session_date=[yesterday] * 3,
    )

    def found() -> dict[str, list[tuple[object, ...]]]:
        tables = ["silver.int_touches", "silver.stg_conversions", "gold.fct_sessions"]
        report = run(small.lake, CONTRACTS, data_docs=small.docs, now=NOW, tables=tables)
        return {
            rule.rule: [(row["tenant_id"], row["missing_count"]) for row in rule.sample]
            for _, rule in report.failures("warn")
            if rule.rule in (visits, conversions, users)
        }

    # one of forty is few enough, and globex sends no pages at all
    assert found() == {
        visits: [("acme", 1)],
        users: [("acme", 1)],
    }
    many = [small.conversion(f"more-{n}", session_id="?", occurred_at=NOW - timedelta(days=1))
            for n in range(5)]  # fmt: skip
    small.write_bronze(many)
    small.write_silver([*rows, *many])
    assert found()[conversions] == [("acme", 6)]
