"""Expectations as asset checks: one a table, and a blocking rule that fails stops what follows.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)

from expectations import check
from expectations.result import CheckReport, RuleResult, SuiteResult
from ingest.contracts.registry import ContractSet
from lake.tables import Lake, Layer
from orchestration.keys import table_key

CHECK = "expectations"
SHOWN_RULES = 20


def expectation_checks(
    layer: Layer,
    tables: Sequence[str],
    contracts: ContractSet,
    lake: Lake,
    data_docs: Path,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AssetChecksDefinition:
    """Return the checks of one layer's tables, done by one step.

    Severity: a failed rule that blocks is an ERROR and stops the assets that follow; one that
    warns is a WARN; one that is only recorded does not fail the check.
    """

    @multi_asset_check(
        name=f"{layer}_{CHECK}",
        specs=[
            AssetCheckSpec(
                CHECK,
                asset=table_key(layer, table),
                blocking=True,
                description="Great Expectations on what is new, and totals against other layers.",
            )
            for table in tables
        ],
        can_subset=True,
    )
    def checks(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        wanted = sorted(key.asset_key for key in context.selected_asset_check_keys)
        there = [key for key in wanted if lake.exists(layer, key.path[-1])]
        report = None
        if there:
            report = check.run(
                lake,
                contracts,
                data_docs=data_docs,
                now=now(),
                tables=[f"{layer}.{key.path[-1]}" for key in there],
                progress=lambda name: context.log.info(f"checking {name}"),
            )
        for key in wanted:
            suites = [] if report is None else _suites_of(report, layer, key.path[-1])
            yield check_result(key, suites, data_docs)

    return checks


def check_result(key: AssetKey, suites: Sequence[SuiteResult], data_docs: Path) -> AssetCheckResult:
    """Return what the suites of one table say together."""
    blocking = [rule for suite in suites for rule in suite.failures("block")]
    warnings = [rule for suite in suites for rule in suite.failures("warn")]
    looked_at = [suite for suite in suites if suite.skipped is None]
    rules = sum(len(suite.rules) for suite in looked_at)
    if blocking or warnings:
        told = f"{len(blocking)} blocking and {len(warnings)} warning rules do not hold"
    elif looked_at:
        told = f"all {rules} rules hold"
    else:
        why = "; ".join(suite.skipped or "" for suite in suites)
        told = f"nothing was looked at: {why or 'there is no table yet, or nothing is expected'}"
    return AssetCheckResult(
        asset_key=key,
        check_name=CHECK,
        passed=not blocking and not warnings,
        severity=AssetCheckSeverity.ERROR if blocking else AssetCheckSeverity.WARN,
        description=told,
        metadata={
            "rules": MetadataValue.int(rules),
            "rows checked": MetadataValue.int(sum(suite.rows_checked for suite in looked_at)),
            "Data Docs": MetadataValue.path(data_docs / "index.html"),
            **(
                {"what does not hold": MetadataValue.md(_as_markdown(blocking + warnings))}
                if blocking or warnings
                else {}
            ),
        },
    )


def _suites_of(report: CheckReport, layer: Layer, table: str) -> list[SuiteResult]:
    return [suite for suite in report.suites if (suite.layer, suite.table) == (layer, table)]


def _as_markdown(failed: Sequence[RuleResult]) -> str:
    lines = ["| rule | severity | seen | rows, for example |", "|---|---|---|---|"]
    for rule in failed[:SHOWN_RULES]:
        keys = "; ".join(
            ", ".join(f"{name}={value}" for name, value in row.items()) for row in rule.sample
        )
        cells = [rule.rule, rule.severity, rule.observed, keys]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    if len(failed) > SHOWN_RULES:
        lines.append(f"\nand {len(failed) - SHOWN_RULES} more")
    return "\n".join(lines)
