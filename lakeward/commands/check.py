"""``lakeward check``: are the tables true?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from expectations.result import CheckReport, SuiteResult

EXIT_BLOCKED = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Only this layer: bronze, silver or gold; can be repeated."),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Only this table, e.g. silver.stg_clickstream; can be repeated."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Look at all rows again, not only at new ones.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """Check the tables against their expectations; build the Data Docs.

    Looks at the rows that came since the last check, and reconciles the layers by count. Exit
    code 1 when a blocking expectation does not hold. The table ops.expectation_results has the
    results of all checks.
    """
    from datetime import UTC, datetime

    from expectations.check import run
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.inventory import require_tables
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors

    settings = LakeSettings()
    lake = Lake(settings.root)
    require_tables(lake)
    contracts = load_contracts(IngestSettings().contracts_dir)
    with errors.status("starting the checks") as status:
        report = run(
            lake,
            contracts,
            data_docs=settings.home / "data_docs",
            now=datetime.now(tz=UTC),
            layers=layer or (),
            tables=table or (),
            full=full,
            progress=lambda name: status.update(f"checking {name}"),
        )
    if as_json:
        console.print_json(data=_as_json(report))
    else:
        _show(report)
    if not report.success:
        raise typer.Exit(EXIT_BLOCKED)


def _show(report: CheckReport) -> None:
    from lakeward.console import console

    failures = _failures(report)
    if failures.row_count:
        console.print(failures)
    for suite in report.suites:
        for note in _notes(suite):
            console.print(f"{suite.suite}: {note}", style="dim", markup=False, highlight=False)
    held = sum(rule.success for suite in report.suites for rule in suite.rules)
    run = sum(bool(suite.rules) for suite in report.suites)
    blocking = len(list(report.failures("block")))
    warnings = len(list(report.failures("warn")))
    recorded = len(list(report.failures("record")))
    verdict = "[green]passed[/]" if report.success else "[bold red]failed[/]"
    console.print(
        f"{verdict}: {held} expectations hold in {run} suites; do not hold: {blocking} blocking, "
        f"{warnings} warning, {recorded} recorded",
        highlight=False,
        soft_wrap=True,
    )
    if report.data_docs.exists():
        console.print(f"Data Docs: {report.data_docs.resolve()}", soft_wrap=True, highlight=False)


def _failures(report: CheckReport) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from lake.dead_letters.readable import printable

    styles = {"block": "bold red", "warn": "yellow", "record": "dim"}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "expected", "unexpected", "for example"):
        table.add_column(name, overflow="fold")
    for suite, rule in report.failures():
        example = ", ".join(f"{k}={v}" for k, v in rule.sample[0].items()) if rule.sample else ""
        table.add_row(
            Text(rule.severity, style=styles[rule.severity]),
            Text.assemble((f"{suite.suite}\n", "bold"), rule.rule),
            Text(rule.observed),
            Text(printable(example), style="dim"),
        )
    return table


def _notes(suite: SuiteResult) -> list[str]:
    notes = []
    if suite.skipped:
        notes.append(f"not checked: {suite.skipped}")
    if suite.is_repeated and suite.failures("block", "warn"):
        notes.append("nothing is new; the failures above are those of the last check")
    if suite.is_sampled:
        notes.append(f"a sample of {suite.rows_checked:,} of {suite.rows_available:,} rows")
    if suite.note:
        notes.append(f"looked at {suite.note}")
    return notes


def _as_json(report: CheckReport) -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "checked_at": report.checked_at.isoformat(),
        "success": report.success,
        "data_docs": str(report.data_docs.resolve()),
        "suites": [
            {
                "suite": suite.suite,
                "layer": suite.layer,
                "table": suite.table,
                "version_from": suite.version_from,
                "version_to": suite.version_to,
                "rows_available": suite.rows_available,
                "rows_checked": suite.rows_checked,
                "is_sampled": suite.is_sampled,
                "is_repeated": suite.is_repeated,
                "skipped": suite.skipped,
                "note": suite.note,
                "rules": [
                    {
                        "rule": rule.rule,
                        "kind": rule.kind,
                        "column": rule.column,
                        "severity": rule.severity,
                        "success": rule.success,
                        "observed": rule.observed,
                        "unexpected_count": rule.unexpected,
                        "sample": list(rule.sample),
                        "why": rule.why,
                    }
                    for rule in suite.rules
                ],
            }
            for suite in report.suites
        ],
    }
