"""``lakeward status``: how far everything is, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from lake.status import PartitionStatus, Status
    from lake.status_of_tables import TableStatus

EXIT_PROBLEMS = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    contracts: Annotated[
        str | None,
        typer.Option(help="Only these contracts, comma separated. [default: all]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show how far the lake is behind Kafka, the tables, dead letters, and what is wrong.

    From the tables and from Kafka alone: no writer needs to run. When one of the two is away the
    rest is shown. Exit code 1 when something has to be mended. The oldest message is the age of the
    first one that is in Kafka and not in the lake; dead letters are those of the last 24 hours.
    """
    from datetime import UTC, datetime

    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.settings import LakeSettings
    from lake.status import status as look
    from lakeward.console import console

    ingest = IngestSettings()
    known = load_contracts(ingest.contracts_dir)
    chosen = list(known)
    if contracts is not None:
        chosen = [known.by_name(name.strip()) for name in contracts.split(",") if name.strip()]
    found = look(ingest, LakeSettings(), chosen, datetime.now(UTC))
    if as_json:
        console.print_json(data=as_document(found))
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(EXIT_PROBLEMS)


def as_document(found: Status) -> dict[str, object]:
    """Return a status as plain JSON values."""
    return {
        "at": found.at.isoformat(),
        "lag": found.lag,
        "writers": found.writers,
        "writers_counted": found.is_counted,
        "partitions": [
            {
                "contract": part.contract,
                "topic": part.source.topic,
                "topic_id": part.source.topic_id,
                "partition": part.source.partition,
                "stored": part.stored,
                "end": part.end,
                "lag": part.lag,
                "lag_seconds": _seconds(found.at, part),
            }
            for part in found.partitions
        ],
        "tables": [
            {
                "name": table.facts.name,
                "writer": table.writer,
                "version": table.facts.version,
                "rows": table.facts.rows,
                "files": table.facts.files,
                "size_bytes": table.facts.size_bytes,
                "committed_at": _iso(table.committed_at),
                "seconds_since_commit": None
                if table.committed_at is None
                else (found.at - table.committed_at).total_seconds(),
                "dead_letters_24h": dict(table.dead),
            }
            for table in found.tables
        ],
        "gaps_accepted": [
            {
                "topic": gap.source.topic,
                "topic_id": gap.source.topic_id,
                "partition": gap.source.partition,
                "first": gap.first_offset,
                "last": gap.last_offset,
                "recorded_at": _iso(gap.recorded_at),
                "detail": gap.detail,
            }
            for gap in found.gaps
        ],
        "not_begun": list(found.not_begun),
        "tenants": dict(found.tenants),
        "problems": [{"what": one.what, "hint": one.hint} for one in found.problems],
    }


def _print(found: Status) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console

    def table_of(first: str, *others: str) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(first, no_wrap=True)
        for name in others:
            table.add_column(name, justify="right", no_wrap=True)
        return table

    partitions = table_of("topic", "in the lake", "end in Kafka", "lag", "oldest")
    for part in found.partitions:
        seconds = _seconds(found.at, part)
        partitions.add_row(
            str(part.source),
            _number(part.stored),
            _number(part.end),
            "?" if part.lag is None else f"{part.lag:,}",
            "-" if seconds is None or not part.lag else _span(seconds),
        )
    if found.partitions:
        console.print(partitions)
    tables = table_of("table", "rows", "files", "size", "version", "last commit", "dead in 24 h")
    for one in found.tables:
        tables.add_row(*_cells(one, found.at))
    if found.tables:
        console.print(tables)
    for line in _lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    for problem in found.problems:
        console.print(
            f"[red]wrong:[/] {escape(problem.what)}\n  {escape(problem.hint)}",
            highlight=False,
            soft_wrap=True,
        )


def _cells(one: TableStatus, now: datetime) -> list[str]:
    from rich.filesize import decimal

    facts = one.facts
    age = None if one.committed_at is None else (now - one.committed_at).total_seconds()
    return [
        f"bronze.{facts.name}",
        "?" if facts.rows is None else f"{facts.rows:,}",
        f"{facts.files:,}",
        decimal(facts.size_bytes),
        f"{facts.version:,}",
        "-" if age is None else f"{_span(age)} ago",
        f"{sum(one.dead.values()):,}",
    ]


def _lines(found: Status) -> list[str]:
    if found.writers is None:
        writers = "unknown"
    elif found.is_counted or not found.writers:
        writers = f"{found.writers:,}"
    else:
        writers = "at least one"
    lag = "unknown" if found.lag is None else f"{found.lag:,}"
    lines = [f"lag {lag}; writers at work: {writers}"]
    for one in found.tables:
        if one.dead:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(one.dead.items()))
            lines.append(f"dead letters of {one.facts.name} in 24 h: {reasons}")
    if found.tenants:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(found.tenants.items()))
        lines.append(f"tenants: {counts}")
    if found.not_begun:
        lines.append(f"nothing written yet: {', '.join(found.not_begun)}")
    for gap in found.gaps:
        span = f"{gap.first_offset:,} to {gap.last_offset:,}"
        detail = f" ({gap.detail})" if gap.detail else ""
        lines.append(
            f"gap accepted: {gap.source} offsets {span}{detail}, {gap.recorded_at:%Y-%m-%d %H:%M} "
            "UTC"
        )
    return lines


def _seconds(now: datetime, part: PartitionStatus) -> float | None:
    """Return how old the first message is that waits: 0 when none does, None when unknown."""
    if part.lag == 0:
        return 0.0
    if part.lag is None or part.oldest_waiting is None:
        return None
    return max(0.0, (now - part.oldest_waiting).total_seconds())


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
