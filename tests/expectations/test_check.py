"""What a check finds, keeps and says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from expectations.check import run
from expectations.errors import CheckRunError, CheckScopeError
from expectations.result import CheckReport, RuleResult, SuiteResult
from lake.errors import ForeignTableError
from lake.read import LakeReader
from tests.expectations.small_lake import CONTRACT, CONTRACTS, NOW, SmallLake

BRONZE = "bronze.conversions"
RECONCILIATION = "silver.stg_conversions.reconciliation"


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return SmallLake(tmp_path)


def check(small: SmallLake, now: datetime = NOW, **options: Any) -> CheckReport:
    return run(small.lake, CONTRACTS, data_docs=small.docs, now=now, **options)


def suite(report: CheckReport, name: str) -> SuiteResult:
    (found,) = [one for one in report.suites if one.suite == name]
    return found


def rule(found: SuiteResult, name: str) -> RuleResult:
    (one,) = [one for one in found.rules if one.rule == name]
    return one


def test_good_tables_pass_in_every_layer(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(10)]
    small.write_bronze(rows)
    small.write_silver(rows)
    small.write_revenue(
        [
            {
                "tenant_id": "acme",
                "revenue_date": NOW.date(),
                "purchase_count": 10,
                "gross_usd": Decimal("100.00"),
            }
        ]
    )
    report = check(small)
    assert report.success
    assert list(report.failures()) == []
    ran = {one.suite for one in report.suites if one.rules}
    assert ran == {
        BRONZE,
        "silver.stg_conversions",
        RECONCILIATION,
        "gold.fct_revenue_daily",
        "gold.fct_revenue_daily.totals",
    }


def test_a_missing_required_value_in_bronze_blocks_and_names_the_row(small: SmallLake) -> None:
    small.write_bronze([small.conversion("good"), small.conversion("bad", occurred_at=None)])
    report = check(small)
    assert not report.success
    found = rule(suite(report, BRONZE), "occurred_at is present")
    assert (found.success, found.severity, found.unexpected) == (False, "block", 1)
    assert found.sample[0]["conversion_id"] == "bad"


def test_an_unknown_value_warns_only_beyond_the_allowed_share(small: SmallLake) -> None:
    rows = [small.conversion(f"c{n}") for n in range(100)]
    for row in rows[:5]:
        row["payment_method"] = "GOLD"
    small.write_bronze(rows)
    name = "payment_method is one of its allowed values"
    found = rule(suite(check(small), BRONZE), name)
    assert (found.success, found.unexpected) == (True, 5)
    small.write_bronze(rows[:6])
    report = check(small, NOW + timedelta(minutes=1))
    assert not rule(suite(report, BRONZE), name).success
    assert report.success, "a warning does not fail the check"


def test_a_wrong_clock_and_rescued_fields_are_told(small: SmallLake) -> None:
    ahead = [small.conversion(f"c{n}", occurred_at=NOW + timedelta(days=3)) for n in range(3)]
    small.write_bronze([*ahead, small.conversion("x", _rescued='{"email": "a@example.com"}')])
    found = suite(check(small), BRONZE)
    clock = rule(found, "occurred_at is not ahead of Kafka by more than 24 h")
    assert (clock.success, clock.unexpected) == (False, 3)
    rescued = rule(found, "the fields of a message fit the contract")
    assert (rescued.success, rescued.unexpected) == (False, 1)
    assert rescued.sample[0]["conversion_id"] == "x"


def test_only_rows_that_came_since_the_last_check_are_looked_at(small: SmallLake) -> None:
    small.write_bronze([small.conversion("bad", occurred_at=None)])
    assert not check(small).success
    small.write_bronze([small.conversion(f"c{n}") for n in range(3)])
    later = suite(check(small, NOW + timedelta(minutes=1)), BRONZE)
    assert (later.version_from, later.version_to, later.rows_checked) == (0, 1, 3)
    assert later.success
    again = suite(check(small, NOW + timedelta(minutes=2), full=True), BRONZE)
    assert (again.version_from, again.rows_checked) == (None, 4)
    assert not again.success


def test_compaction_and_empty_commits_bring_no_rows_to_look_at(small: SmallLake) -> None:
    for n in range(3):
        small.write_bronze([small.conversion(f"c{n}")])
    first = suite(check(small), BRONZE)
    assert first.rows_checked == 3
    small.lake.open("bronze", CONTRACT.name).optimize.compact()
    later = suite(check(small, NOW + timedelta(minutes=1)), BRONZE)
    assert later.is_repeated
    small.write_bronze([small.conversion("new")])
    newest = suite(check(small, NOW + timedelta(minutes=2)), BRONZE)
    assert (newest.rows_checked, newest.is_repeated) == (1, False)


def test_a_failure_stands_until_there_is_something_new(small: SmallLake) -> None:
    small.write_bronze([small.conversion("bad", occurred_at=None)])
    first = check(small)
    again = check(small, NOW + timedelta(minutes=1))
    assert not again.success
    repeated = suite(again, BRONZE)
    assert repeated.is_repeated
    assert repeated.rules == suite(first, BRONZE).rules
    with LakeReader(small.lake) as reader:
        runs = reader.table("select distinct run_id from ops.expectation_results")
    assert runs["run_id"].to_pylist() == [first.run_id], "a repeated result is not stored again"


def test_rows_of_vacuumed_files_are_looked_at_with_the_whole_table(small: SmallLake) -> None:
    small.write_bronze([small.conversion("a")])
    check(small)
    small.write_bronze([small.conversion("b")])
    table = small.lake.open("bronze", CONTRACT.name)
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    found = suite(check(small, NOW + timedelta(minutes=1)), BRONZE)
    assert (found.rows_checked, found.version_from) == (2, None)
    assert "vacuumed" in found.note


def test_a_large_batch_is_sampled_and_says_so(small: SmallLake) -> None:
    small.write_bronze([small.conversion(f"c{n}") for n in range(50)])
    found = suite(check(small, sample_rows=20), BRONZE)
    assert (found.rows_checked, found.rows_available, found.is_sampled) == (20, 50, True)


def test_results_are_kept_with_their_history(small: SmallLake) -> None:
    for n in range(3):
        small.write_bronze([small.conversion(f"c{n}")])
        check(small, NOW + timedelta(minutes=n), tables=[BRONZE])
    with LakeReader(small.lake) as reader:
        found = reader.table(
            "select run_id, version_from, version_to, bool_and(success) as ok, count(*) as rules "
            "from ops.expectation_results group by all order by version_to"
        ).to_pylist()
    assert [(one["version_from"], one["version_to"]) for one in found] == [
        (None, 0),
        (0, 1),
        (1, 2),
    ]
    assert all(one["ok"] and one["rules"] > 5 for one in found)


def test_dead_letters_beyond_their_share_warn(small: SmallLake) -> None:
    small.write_bronze([small.conversion(f"c{n}") for n in range(19)])
    small.write_dead(1)
    found = suite(check(small), "bronze.dead_letters")
    assert found.failures() == []
    small.write_dead(1)
    (failed,) = suite(check(small, NOW + timedelta(minutes=1)), "bronze.dead_letters").failures(
        "warn"
    )
    assert failed.sample[0]["contract"] == CONTRACT.name
    assert (failed.sample[0]["rows"], failed.sample[0]["dead"]) == (19, 2)


def test_personal_data_stays_out_of_results_and_docs(small: SmallLake) -> None:
    contract = CONTRACTS.by_name("registrations")
    secret = {f.name: f"secret-{f.name}@example.com" for f in contract.fields if f.pii}
    assert "email" in secret
    row = {f.name: None for f in contract.fields} | secret | {"tenant_id": "acme"}
    data = pa.Table.from_pylist(
        [row | {"_appended_at": NOW, "_rescued": json.dumps(secret)}],
        schema=_only_texts(contract.name),
    )
    write_deltalake(small.lake.uri("bronze", contract.name), data)
    report = check(small)
    assert not report.success
    written = [p.read_text(errors="ignore") for p in small.docs.rglob("*") if p.is_file()]
    with LakeReader(small.lake) as reader:
        written.append(str(reader.table("from ops.expectation_results").to_pylist()))
    assert not any("secret-" in text for text in written)
    assert any("registration_id is present" in text for text in written)


def _only_texts(name: str) -> pa.Schema:
    from lake.schema import bronze_schema

    return bronze_schema(CONTRACTS.by_name(name))


def test_a_column_that_a_suite_needs_and_that_is_gone_blocks(small: SmallLake) -> None:
    write_deltalake(small.lake.uri("bronze", CONTRACT.name), pa.table({"tenant_id": ["acme"]}))
    report = check(small)
    assert not report.success
    (failed,) = suite(report, BRONZE).failures("block")
    assert "conversion_id" in failed.observed


def test_a_damaged_table_blocks_and_the_others_are_checked(small: SmallLake) -> None:
    rows = [small.conversion("a")]
    small.write_bronze(rows)
    small.write_silver(rows)
    log = Path(small.lake.uri("silver", "stg_conversions")) / "_delta_log"
    (log / "00000000000000000000.json").write_text("not json\n")
    report = check(small)
    assert {one.table for one, _ in report.failures("block")} == {"stg_conversions"}
    assert suite(report, BRONZE).success


def test_tables_can_be_checked_one_by_one(small: SmallLake) -> None:
    rows = [small.conversion("a")]
    small.write_bronze(rows)
    small.write_silver(rows)
    report = check(small, tables=[BRONZE])
    assert [one.suite for one in report.suites] == [BRONZE]
    report = check(small, NOW + timedelta(minutes=1), layers=["silver"])
    assert {one.layer for one in report.suites} == {"silver"}


@pytest.mark.parametrize(
    "options", [{"layers": ["lead"]}, {"tables": ["conversions"]}, {"tables": ["bronze.nothing"]}]
)
def test_an_unknown_scope_is_refused(small: SmallLake, options: dict[str, list[str]]) -> None:
    small.write_bronze([small.conversion("a")])
    with pytest.raises(CheckScopeError):
        check(small, **options)


def test_a_table_of_somebody_else_in_ops_is_left_alone(small: SmallLake) -> None:
    small.write_bronze([small.conversion("a")])
    write_deltalake(small.lake.uri("ops", "expectation_results"), pa.table({"x": [1]}))
    with pytest.raises(ForeignTableError):
        check(small)


def test_docs_that_cannot_be_written_are_named(small: SmallLake) -> None:
    small.write_bronze([small.conversion("a")])
    small.docs.write_text("a file")
    with pytest.raises(CheckRunError, match="data_docs"):
        check(small)


def test_the_command_exits_1_when_a_blocking_expectation_does_not_hold(
    small: SmallLake, tmp_path: Path
) -> None:
    def lakeward(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lakeward", "check", *arguments],
            env={**os.environ, "LAKEWARD_HOME": str(tmp_path), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    small.write_bronze([small.conversion("bad", occurred_at=None)])
    failed = lakeward()
    assert failed.returncode == 1
    assert "occurred_at is present" in failed.stdout
    assert "conversion_id=bad" in failed.stdout
    assert (tmp_path / "data_docs" / "index.html").exists()
    assert "Traceback" not in failed.stderr
    assert "Warning" not in failed.stderr
    small.write_bronze([small.conversion("good")])
    passed = lakeward("--json")
    assert passed.returncode == 0
    report = json.loads(passed.stdout)
    assert report["success"] is True
    assert report["suites"][0]["rows_checked"] == 1
    assert lakeward("--layer", "lead").returncode == 2
