"""How what Great Expectations found becomes a check in Dagster."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import AssetCheckSeverity, AssetKey

from expectations.result import RuleResult, SuiteResult
from expectations.suite import Severity
from orchestration.checks import check_result

KEY = AssetKey(["bronze", "clickstream"])
DOCS = Path("data_docs")


def rule(severity: Severity, success: bool, name: str = "a rule") -> RuleResult:
    return RuleResult(
        rule=name,
        kind="ExpectColumnValuesToNotBeNull",
        column="session_id",
        severity=severity,
        success=success,
        observed="3 of 10 rows",
        checked=10,
        unexpected=3,
        sample=({"event_id": "e|1", "tenant_id": "acme"},),
        why="it matters",
    )


def suite(*rules: RuleResult, skipped: str | None = None) -> SuiteResult:
    return SuiteResult(
        "bronze.clickstream", "bronze", "clickstream", rules, rows_checked=10, skipped=skipped
    )


@pytest.mark.parametrize(
    ("failed", "passed", "severity"),
    [
        ("block", False, AssetCheckSeverity.ERROR),
        ("warn", False, AssetCheckSeverity.WARN),
        ("record", True, AssetCheckSeverity.WARN),
    ],
)
def test_severity_decides_block_warn_or_record(
    failed: Severity, passed: bool, severity: AssetCheckSeverity
) -> None:
    result = check_result(KEY, [suite(rule("block", True), rule(failed, False))], DOCS)
    assert (result.passed, result.severity) == (passed, severity)


def test_a_blocking_rule_outweighs_warnings_in_other_suites() -> None:
    suites = [suite(rule("warn", False)), suite(rule("block", False))]
    result = check_result(KEY, suites, DOCS)
    assert result.severity == AssetCheckSeverity.ERROR
    assert result.description == "1 blocking and 1 warning rules do not hold"


def test_the_check_names_the_rules_and_sample_rows() -> None:
    result = check_result(KEY, [suite(rule("block", False, "each event has a session"))], DOCS)
    table = str(result.metadata["what does not hold"].value)
    assert (
        "| each event has a session | block | 3 of 10 rows | event_id=e/1, tenant_id=acme |"
        in table
    )
    assert result.metadata["rows checked"].value == 10


def test_a_suite_that_was_not_run_says_why() -> None:
    result = check_result(KEY, [suite(skipped="there are too few rows to judge")], DOCS)
    assert result.passed
    assert result.description == "nothing was looked at: there are too few rows to judge"
