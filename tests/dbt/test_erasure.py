"""Erasing a tenant makes no model start over, and no build brings its rows back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lake.erasure.tenant import erase_tenant
from lake.increments import Pinned, plan
from lake.maintenance.compaction import compact
from tests.dbt.conftest import Chance, TestLake, assert_same_tables

CONTRACTS = ("clickstream", "registrations", "conversions")
OF_NOBODY = ("silver.sites", "gold.dim_sites", "silver.int_days")
"""A seed and what is made of it, and the calendar: no tenant has a row there."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TestLake:
    """A lake whose models are built; each test takes a copy of it."""
    lake = TestLake(tmp_path_factory.mktemp("built"))
    more(lake, 80)
    lake.build()
    return lake


def more(lake: TestLake, size: int, *contracts: str) -> None:
    chance = Chance(size)
    for contract in contracts or CONTRACTS:
        lake.add(contract, chance.batch(contract, lake.now, size))


def without(lake: TestLake, tenant: str, folder: Path) -> TestLake:
    """What the lake would be if the tenant had never been there."""
    other = lake.copy_bronze_to(folder)
    for contract in CONTRACTS:
        other.lake.open("bronze", contract).delete(f"tenant_id = '{tenant}'")
    other.build()
    return other


def test_models_go_on_where_they_were_and_are_as_if_the_tenant_had_never_been(
    built: TestLake, tmp_path: Path
) -> None:
    lake = built.copy_to(tmp_path / "one")
    more(lake, 40)  # not built yet when the tenant is erased
    certificate = erase_tenant(lake.lake, "acme")
    assert {t.table for t in certificate.tables if t.rows} >= {
        "bronze.clickstream", "silver.stg_clickstream", "silver.int_sessions", "gold.fct_funnel",
    }  # fmt: skip
    assert certificate.kept == ("silver.experiments", "silver.sites")
    result = lake.build()
    assert {node.mode for node in result.models()} == {"increment", "seed", "table"}
    assert sum(node.rows or 0 for node in lake.build().models()) == 0
    for label in lake.tables():
        if label not in OF_NOBODY:
            assert lake.rows(label, "tenant_id = 'acme'") == []
    assert_same_tables(lake, without(lake, "acme", tmp_path / "two"))


def test_a_model_that_was_behind_over_a_compaction_starts_over_and_says_so(
    built: TestLake, tmp_path: Path
) -> None:
    lake = built.copy_to(tmp_path)
    for size in range(10, 19):
        more(lake, size, "clickstream")
    assert compact(
        lake.lake, "bronze", "clickstream", target_size=2**20, now=lambda: lake.now
    ).files_merged
    erase_tenant(lake.lake, "acme", now=lambda: lake.now + timedelta(days=30))
    planned = plan(
        Pinned(lake.lake, "silver", "stg_clickstream", lake.open("silver.stg_clickstream")),
        (Pinned(lake.lake, "bronze", "clickstream", lake.open("bronze.clickstream")),),
        reads="rows",
    )
    assert planned.mode == "full"
    assert "vacuumed" in planned.reason


def test_a_build_that_began_before_an_erasure_brings_nothing_back(
    built: TestLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = built.copy_to(tmp_path)
    more(lake, 40, "clickstream")
    from lake import build_write

    append = build_write.append

    def overtaken(*args):  # type: ignore[no-untyped-def]
        monkeypatch.setattr(build_write, "append", append)
        erase_tenant(lake.lake, "acme")
        return append(*args)

    monkeypatch.setattr(build_write, "append", overtaken)
    result = lake.dbt("build", "--select", "stg_clickstream", "--exclude-resource-type", "test")
    (failed,) = result.failures()
    assert failed.label == "silver.stg_clickstream"
    lake.build("--select", "stg_clickstream")
    assert lake.rows("silver.stg_clickstream", "tenant_id = 'acme'") == []
    assert lake.rows("silver.stg_clickstream", "tenant_id = 'globex'") != []
