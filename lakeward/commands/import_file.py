"""``lakeward import``: events of a file into a contract's topic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.importer.formats import Format
from lakeward.signals import INTERRUPTED

if TYPE_CHECKING:
    from ingest.importer.run import ImportReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV or access log; may be gzipped.")],
    contract: Annotated[
        str, typer.Option("--contract", "-c", help="What its events are, e.g. clickstream.")
    ],
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map",
            "-m",
            metavar="FILE",
            help="A mapping file, or a shipped one: access_log, github_events. "
            "Default: members of the contract's own names.",
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Default: by the name or the first line."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="The tenant of all its events.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Send everything once more; ids stay, so silver keeps one of each."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, for programs.")
    ] = False,
) -> None:
    """Send the lines of a file as events, each one once.

    A run that was cut short goes on where it was, and a second run of the same file sends
    nothing. Events without an id get one from the file's content and the line number. Lines that
    cannot be events are counted by reason and listed in <home>/imports/.
    """
    from dataclasses import asdict

    from ingest.contracts.registry import load_contracts
    from ingest.importer.mapping import load_mapping
    from ingest.importer.records import guess_format, read_content
    from ingest.importer.run import ImportPlan
    from ingest.importer.run import import_file as run
    from ingest.kafka import ensure_topics
    from ingest.publisher import Publisher
    from ingest.settings import IngestSettings
    from lakeward.console import console, errors
    from lakeward.progress import progress
    from lakeward.signals import stop_on_signals

    settings = IngestSettings()
    target = load_contracts(settings.contracts_dir).by_name(contract)
    rules = None if mapping is None else load_mapping(mapping)
    plan = ImportPlan(
        path=file,
        contract=target,
        form=form or (rules.format if rules and rules.format else guess_format(file)),
        mapping=rules,
        tenant=tenant,
        again=again,
    )

    def open_publisher() -> Publisher:
        ensure_topics(settings, [target])
        return Publisher(settings, [target])

    stopping = stop_on_signals()
    with progress(f"importing {file.name}", read_content(file).lines, "lines") as show:
        report = run(plan, settings, open_publisher, show, stopping.is_set)
    if as_json:
        console.print_json(data=asdict(report), default=str)
    else:
        _print_report(report)
    if not report.finished:
        errors.print("interrupted: run the same command again to go on")
        raise typer.Exit(INTERRUPTED)


def _print_report(report: ImportReport) -> None:
    from rich.markup import escape

    from lakeward.console import console

    refused = sum(report.refused.values())
    if report.was_finished:
        console.print(
            "already imported, nothing was sent; --again sends it once more", highlight=False
        )
    elif report.resumed_after:
        console.print(f"went on after line {report.resumed_after:,}", highlight=False)
    blank = f" + {report.blank:,} blank" if report.blank else ""
    console.print(
        f"{report.lines:,} lines = {report.sent:,} sent + {refused:,} refused{blank}"
        + ("" if report.finished else " + the rest, still to do"),
        highlight=False,
        soft_wrap=True,
    )
    if report.sent_now:
        console.print(
            f"{report.sent_now:,} sent in this run, all acknowledged; "
            f"{report.derived_ids:,} with an id made from file and line",
            highlight=False,
            soft_wrap=True,
        )
    for reason, count in report.refused.items():
        console.print(f"  refused: {reason} {count:,}", highlight=False)
    if report.rejects is not None:
        console.print(
            f"refused lines: {escape(str(report.rejects))}", highlight=False, soft_wrap=True
        )
