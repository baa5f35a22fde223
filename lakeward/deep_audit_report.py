"""``lakeward audit --deep``: how it is run, and how what it found is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lake.deep_audit import DeepReport, PartitionDeep
    from lake.tables import Lake

LINE_SECONDS: Final = 10.0
"""How often progress is told where there is no terminal to draw a bar on."""


def run_deep_audit(lake: Lake, topic: str | None) -> DeepReport:
    """Compare the lake with Kafka and show on standard error how far it is."""
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.deep_audit import deep_audit
    from lakeward.console import errors
    from lakeward.progress import progress

    ingest = IngestSettings()
    began = told = time.monotonic()

    with progress("reading Kafka again", None, "offsets") as show:

        def tell(done: int, total: int) -> None:
            nonlocal told
            show(done)
            now = time.monotonic()
            if not errors.is_terminal and now - told >= LINE_SECONDS:
                told = now
                rate = done / (now - began)
                errors.print(
                    f"compared {done:,} of {total:,} offsets, {rate:,.0f}/s", highlight=False
                )

        return deep_audit(
            ingest, lake, load_contracts(ingest.contracts_dir), topic=topic, on_progress=tell
        )


def deep_document(report: DeepReport) -> dict[str, object]:
    """Return a report as plain JSON values."""
    total = report.total
    return {
        "is_clean": report.is_clean,
        "compared": total.compared,
        "equal": total.equal,
        "different": total.different,
        "missing": total.missing,
        "gone_from_kafka": total.gone,
        "accepted_gap": total.accepted_gap,
        "replayed": total.replayed,
        "erased": total.erased,
        "by_older_version": dict(total.older),
        "by_newer_version": dict(total.newer),
        "versions": dict(report.versions),
        "partitions": [_partition(part) for part in report.partitions],
        "differences": [
            {
                "table": one.table,
                "topic": one.source.topic,
                "topic_id": one.source.topic_id,
                "partition": one.source.partition,
                "offset": one.offset,
                "contract_version": one.version,
                "columns": list(one.columns),
                "what": one.what,
            }
            for part in report.partitions
            for one in part.found.differences
        ],
    }


def _partition(part: PartitionDeep) -> dict[str, object]:
    found = part.found
    return {
        "table": part.table,
        "topic": part.source.topic,
        "topic_id": part.source.topic_id,
        "partition": part.source.partition,
        "first": part.first,
        "stored": part.stored,
        "compared": found.compared,
        "equal": found.equal,
        "different": found.different,
        "missing": found.missing,
        "missing_offsets": list(found.missing_offsets),
        "gone_from_kafka": found.gone,
        "by_older_version": dict(found.older),
        "by_newer_version": dict(found.newer),
        "not_comparable": part.why_not,
    }


def print_deep_report(report: DeepReport) -> None:
    """Print a report for a person."""
    from rich import box
    from rich.table import Table

    from lakeward.console import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("compared with Kafka", no_wrap=True)
    for name in ("from", "to", "compared", "different", "missing", "gone"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for part in report.partitions:
        found = part.found
        table.add_row(
            str(part.source),
            "-" if part.first is None else f"{part.first:,}",
            f"{part.stored:,}",
            *(f"{n:,}" for n in (found.compared, found.different, found.missing, found.gone)),
            _verdict(part),
        )
    console.print(table)
    for line in _lines(report):
        console.print(line, highlight=False, soft_wrap=True)


def _verdict(part: PartitionDeep) -> str:
    if part.why_not is not None:
        return f"not comparable: {part.why_not}"
    if part.found.different or part.found.missing:
        return "[red]not what Kafka has[/]"
    if not part.found.compared:
        return "nothing left in Kafka" if not part.found.newer else "not compared"
    return "[green]equal[/]"


def _lines(report: DeepReport) -> list[str]:
    total = report.total
    lines = []
    for part in report.partitions:
        for one in part.found.differences:
            lines.append(
                f"[red]different[/] {one.table} {one.source} offset {one.offset:,} (contract "
                f"{one.version}): {one.what}"
            )
        if part.found.missing:
            named = ", ".join(f"{offset:,}" for offset in part.found.missing_offsets)
            more = ", ..." if part.found.missing > len(part.found.missing_offsets) else ""
            lines.append(
                f"[red]missing[/] {part.table} {part.source}: {part.found.missing:,} messages are "
                f"in Kafka and not in the lake: offsets {named}{more}"
            )
    for version, count in sorted(total.older.items()):
        lines.append(
            f"{count:,} rows were written by contract version {version} and compared by what that "
            "version had"
        )
    for version, count in sorted(total.newer.items()):
        lines.append(
            f"[yellow]{count:,} rows were written by contract version {version}, which is newer "
            "than the contract here, and were not compared[/]"
        )
    if total.accepted_gap:
        lines.append(
            f"[yellow]{total.accepted_gap:,} messages are in Kafka at offsets that were accepted "
            "as lost (ops.journal), and were not compared[/]"
        )
    if total.erased:
        lines.append(
            f"{total.erased:,} messages are in Kafka that were erased here with their tenant, and "
            "were not compared"
        )
    if total.gone:
        lines.append(
            f"{total.gone:,} rows and dead letters were not compared: Kafka no longer has their "
            "messages"
        )
    verdict = (
        f"[green]equal:[/] {total.equal:,} of {total.compared:,} messages compared"
        if report.is_clean
        else f"[red]NOT equal:[/] {total.different:,} differ, {total.missing:,} missing, "
        f"{total.equal:,} equal"
    )
    return [*lines, verdict]
