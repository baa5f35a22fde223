"""``lakeward audit``: prove that nothing is lost and nothing is there twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lake.audit import AuditReport, Finding, PartitionAudit

EXIT_FINDINGS = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def audit(
    topic: Annotated[str | None, typer.Option(help="Only this topic. [default: all]")] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also read everything that Kafka still has once more, and compare the contents.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Prove that every offset up to the stored one is in the lake exactly once.

    Reads the coordinates of every row in bronze and in the dead letters, and holds them against the
    stored offsets and against what each commit recorded. Exit code 1 when anything is lost, there
    twice, or unexplained. Needs no Kafka.

    With --deep every message that Kafka still has, up to the stored offset, is read and decoded
    again and held against its row or dead letter, value for value. What has expired in Kafka cannot
    be compared, and is counted.
    """
    from lake.audit import audit as run
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console
    from lakeward.deep_audit_report import deep_document, print_deep_report, run_deep_audit

    lake = Lake(LakeSettings().root)
    report = run(lake, topic=topic)
    if not as_json:
        _print(report)
    compared = run_deep_audit(lake, topic) if deep else None
    if as_json:
        more = {} if compared is None else {"deep": deep_document(compared)}
        console.print_json(data={**as_document(report), **more})
    elif compared is not None:
        print_deep_report(compared)
    if not (report.is_clean and (compared is None or compared.is_clean)):
        raise typer.Exit(EXIT_FINDINGS)


def as_document(report: AuditReport) -> dict[str, object]:
    """Return a report as plain JSON values."""
    return {
        "is_clean": report.is_clean,
        "messages": report.messages,
        "rows": report.rows,
        "dead": report.dead,
        "replayed": report.replayed,
        "erased": report.erased,
        "lost": report.count("lost"),
        "doubled": report.count("doubled"),
        "versions": dict(report.versions),
        "partitions": [_partition(part) for part in report.partitions],
        "findings": [_finding(finding) for finding in report.findings],
    }


def _partition(part: PartitionAudit) -> dict[str, object]:
    return {
        "table": part.table,
        "topic": part.source.topic,
        "topic_id": part.source.topic_id,
        "partition": part.source.partition,
        "is_current": part.is_current,
        "first": part.first,
        "stored": part.stored,
        "messages": part.messages,
        "rows": part.rows,
        "dead": part.dead,
        "not_carried": part.not_carried,
        "accepted_gap": part.accepted_gap,
        "ahead": part.ahead,
        "late": part.late,
        "replayed": part.replayed,
        "erased": part.erased,
        "commits": part.commits,
        "findings": len(part.findings),
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "table": finding.table,
        "topic": finding.source.topic,
        "topic_id": finding.source.topic_id,
        "partition": finding.source.partition,
        "count": finding.count,
        "what": finding.what,
        "offsets": list(finding.offsets),
    }


def _print(report: AuditReport) -> None:
    from rich import box
    from rich.table import Table

    from lakeward.console import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("topic", no_wrap=True)
    for name in ("stored", "messages", "rows", "dead", "no msg", "gap"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for part in report.partitions:
        former = "" if part.is_current else f" former {part.source.topic_id[:6]}"
        verdict = "[green]once[/]" if not part.findings else f"[red]{_kinds(part.findings)}[/]"
        if part.stored is None and not part.findings:
            verdict = "empty"
        if part.ahead:
            verdict += f", {part.ahead:,} dead letters ahead"
        if part.late:
            verdict += f", {part.late:,} dead letters late"
        if part.replayed:
            verdict += f", {part.replayed:,} replayed"
        if part.erased:
            verdict += f", {part.erased:,} erased"
        table.add_row(
            f"{part.source}{former}",
            _number(part.stored),
            _number(part.messages),
            _number(part.rows),
            _number(part.dead),
            _number(part.not_carried),
            _number(part.accepted_gap),
            verdict,
        )
    console.print(table)
    for finding in report.findings:
        examples = ", ".join(f"{offset:,}" for offset in finding.offsets)
        shown = f": {examples}{', ...' if finding.count > len(finding.offsets) else ''}"
        console.print(
            f"[red]{finding.kind}[/] {finding.table} {finding.source}: {finding.count:,} "
            f"{finding.what}{shown if examples else ''}",
            highlight=False,
            soft_wrap=True,
        )
    settled = f"{report.messages:,} messages = {report.rows:,} rows + {report.dead:,} dead letters"
    if report.erased:
        settled += f" + {report.erased:,} erased"
    if report.is_clean:
        console.print(
            f"[green]exactly once:[/] {settled}; 0 lost, 0 twice", highlight=False, soft_wrap=True
        )
    else:
        console.print(
            f"[red]NOT exactly once:[/] {report.count('lost'):,} lost, "
            f"{report.count('doubled'):,} twice, {len(report.findings)} findings ({settled})",
            highlight=False,
            soft_wrap=True,
        )


def _kinds(findings: tuple[Finding, ...]) -> str:
    return ", ".join(sorted({finding.kind for finding in findings}))


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
