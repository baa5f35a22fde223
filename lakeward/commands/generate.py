"""``lakeward generate``: made-up events into Kafka, with a ledger of what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakeward.signals import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from threading import Event

    from ingest.contracts.model import Contract
    from ingest.generator.ledger import Ledger, Recorder
    from ingest.generator.message import Message
    from ingest.settings import IngestSettings

DEFAULT_PER_MINUTE = 500.0
DEFAULT_EVENTS = 100_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(generate)


def generate(
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="N", help="Events a minute, live. Default: 500.", show_default=False
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Stop a live run after this long, e.g. 10m."),
    ] = None,
    backfill: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Make the past instead, e.g. 30d, as fast as it goes."),
    ] = None,
    events: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Events of a backfill; 1_000_000 is a number too. Default: 100_000.",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"],
            help="End of a backfill, UTC. Default: now.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="The same seed, options and start (--end for a backfill) make the same."
        ),
    ] = 1,
    tenants: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Only the sites of these tenants. Default: all."),
    ] = None,
    contracts: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Only events of these contracts. Default: all."),
    ] = None,
    quality_issues: Annotated[
        bool,
        typer.Option(
            "--quality-issues",
            help="Plant missing and broken fields, broken JSON, copies, late and future times.",
        ),
    ] = False,
    quality_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of events with an issue; implies --quality-issues. Default: 0.02.",
            show_default=False,
        ),
    ] = None,
    ledger_events: Annotated[
        bool,
        typer.Option(
            "--ledger-events", help="Also list every message with its outcome, in Parquet."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the ledger as JSON instead of a table.")
    ] = False,
) -> None:
    """Make events of 20 ICO project sites: live at a rate, or a stretch of the past.

    Visitors walk from a first page through sign-up and wallet to a purchase, so that funnels and
    revenue add up. What was sent is added up too and kept as a ledger in <home>/generator/, so
    that every table can be held against it.
    """
    import uuid
    from datetime import UTC, timedelta

    from ingest.contracts.registry import load_contracts
    from ingest.errors import GeneratorError
    from ingest.generator.faults import DEFAULT_RATE
    from ingest.generator.ledger import Recorder
    from ingest.generator.run import choose_contracts
    from ingest.generator.sites import load_sites, sites_of
    from ingest.generator.spans import parse_span
    from ingest.kafka import ensure_topics
    from ingest.settings import IngestSettings
    from lakeward.signals import stop_on_signals

    if backfill is None and (events is not None or end is not None):
        raise GeneratorError(
            "--events and --end belong to a backfill", hint="add --backfill 30d, for example"
        )
    if backfill is not None and (rate is not None or duration is not None):
        raise GeneratorError(
            "--rate and --duration belong to a live run, --backfill goes as fast as it can",
            hint="give one or the other",
        )
    now = datetime.now(UTC)
    span = None if backfill is None else parse_span(backfill, "--backfill")
    until = now if end is None else end.replace(tzinfo=UTC)
    if until > now + timedelta(seconds=1):
        raise GeneratorError(
            f"--end {until:%Y-%m-%d %H:%M:%S} lies ahead: Kafka takes no messages of the future"
        )
    if span is not None and span < timedelta(hours=1):
        raise GeneratorError(
            "--backfill: expected at least one hour, visits take that long",
            hint="or use --rate with --duration",
        )
    lasting = None if duration is None else parse_span(duration, "--duration")

    settings = IngestSettings()
    chosen = choose_contracts(load_contracts(settings.contracts_dir), _names(contracts))
    sites = sites_of(_names(tenants), load_sites())
    fault_rate = DEFAULT_RATE if quality_rate is None else quality_rate
    if not quality_issues and quality_rate is None:
        fault_rate = 0.0
    ensure_topics(settings, chosen)
    stopping = stop_on_signals()
    arguments: dict[str, object] = {
        "seed": seed,
        "quality_rate": fault_rate,
        "tenants": sorted({site.tenant_id for site in sites}),
        "contracts": [contract.name for contract in chosen],
    }

    def recorder(more: dict[str, object]) -> Recorder:
        run_id = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        folder = settings.home / "generator"
        return Recorder(run_id, folder, chosen, arguments | more, keep_events=ledger_events)

    if span is not None:
        from ingest.generator.backfill import Backfill, backfill_messages

        plan = Backfill(
            until - span, until, events or DEFAULT_EVENTS, chosen, sites, seed, fault_rate
        )
        _warn_of_short_retention(settings, chosen, plan.start, now)
        more = {"start": plan.start.isoformat(), "end": until.isoformat(), "events": plan.events}
        total: int | None = round(plan.events * (1 + fault_rate / 5))
        _run(
            settings,
            chosen,
            backfill_messages(plan),
            recorder(more),
            total,
            stopping,
            as_json=as_json,
        )
        return

    import time

    from ingest.generator.live import Live, live_messages

    def wait(milliseconds: int) -> None:
        stopping.wait(milliseconds / 1000)

    live = Live(
        per_minute=DEFAULT_PER_MINUTE if rate is None else rate,
        start_ms=round(now.timestamp() * 1000),
        duration_ms=None if lasting is None else round(lasting.total_seconds() * 1000),
        contracts=chosen,
        sites=sites,
        seed=seed,
        fault_rate=fault_rate,
    )
    messages = live_messages(
        live,
        now_ms=lambda: time.time_ns() // 1_000_000,
        wait_ms=wait,
    )
    more = {"start": now.isoformat(), "per_minute": live.per_minute, "duration": duration}
    total = None if lasting is None else round(live.per_minute * lasting.total_seconds() / 60)
    _run(settings, chosen, messages, recorder(more), total, stopping, as_json=as_json)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _warn_of_short_retention(
    settings: IngestSettings, contracts: Iterable[Contract], oldest: datetime, now: datetime
) -> None:
    from ingest.generator.retention import short_retention
    from lakeward.console import errors

    short = short_retention(settings, contracts, oldest, now)
    if short:
        topics = ", ".join(f"{topic} ({kept.days} days)" for topic, kept in short.items())
        errors.print(
            f"[yellow]warning:[/] the broker may delete the older messages within minutes, it "
            f"keeps them by their own time: {topics}\n"
            f"  run `lakeward write` at the same time, or set retention.ms=-1 on these topics",
            highlight=False,
            soft_wrap=True,
        )


def _run(
    settings: IngestSettings,
    contracts: tuple[Contract, ...],
    messages: Iterable[Message | None],
    recorder: Recorder,
    total: int | None,
    stopping: Event,
    *,
    as_json: bool,
) -> None:
    import time

    import orjson

    from ingest.generator.run import run
    from ingest.publisher import Publisher
    from lakeward.console import console, errors
    from lakeward.progress import progress

    began = time.monotonic()
    with progress("generating", total, "messages") as show:
        ledger = run(
            messages,
            Publisher(settings, contracts),
            recorder,
            show,
            stopping.is_set,
            open_ended=total is None,
        )
    seconds = time.monotonic() - began
    if as_json:
        document = ledger.document() | {"seconds": round(seconds, 3)}
        console.out(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), highlight=False)
    else:
        _print_ledger(ledger, seconds)
    if not ledger.complete:
        errors.print("interrupted: the ledger is of what was sent until then")
        raise typer.Exit(INTERRUPTED)


def _print_ledger(ledger: Ledger, seconds: float) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    entries = ledger.contracts.values()
    columns = {
        "messages": [entry.messages for entry in entries],
        "events": [entry.events for entry in entries],
        "copies": [entry.duplicates for entry in entries],
        "dead": [entry.dead for entry in entries],
        "rescued": [entry.rescued for entry in entries],
        "late": [entry.late for entry in entries],
        "future": [entry.future for entry in entries],
    }
    table.add_column("contract", footer="all", no_wrap=True)
    for name, numbers in columns.items():
        table.add_column(name, justify="right", no_wrap=True, footer=f"{sum(numbers):,}")
    for name, *numbers in zip(ledger.contracts, *columns.values(), strict=True):
        table.add_row(name, *[f"{number:,}" for number in numbers])
    console.print(table)
    reasons: dict[str, int] = {}
    for entry in entries:
        for reason, count in entry.dead_letters.items():
            reasons[reason] = reasons.get(reason, 0) + count
    if reasons:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        console.print(f"dead letters to expect: {listed}", highlight=False, soft_wrap=True)
    speed = f"{ledger.messages / max(seconds, 1e-9):,.0f} a second"
    console.print(
        f"{ledger.acknowledged:,} of {ledger.messages:,} messages acknowledged "
        f"in {seconds:.1f} s ({speed})",
        highlight=False,
    )
    console.print(f"ledger: {escape(str(ledger.path))}", highlight=False, soft_wrap=True)
