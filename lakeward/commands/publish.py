"""``lakeward publish``: the rows of gold that changed, to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakeward.signals import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.publish.run import Published
    from serving.publish.target import Target


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(publish)


def publish(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tables of LAKEWARD_PUBLISH, or TABLE=TOPIC for another. [default: all of "
            "LAKEWARD_PUBLISH]"
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Compare the tables with what the topics hold, whatever is recorded."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be sent; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Send the rows of gold that changed since the last time to Kafka topics.

    A row that is new or changed is a message with the table's key; a row that went is a tombstone.
    Whoever reads a topic from its beginning has the table. On Apache Kafka each change is sent
    exactly once, with the version that it leads to in the same transaction. Safe to stop or kill
    anywhere: run it again. Exit code 130 when it was stopped.
    """
    from ingest.settings import IngestSettings
    from lake.inventory import require_tables
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors
    from lakeward.signals import stop_on_signals
    from serving.publish.run import Options
    from serving.publish.run import publish as run
    from serving.settings import ServingSettings

    settings = ServingSettings()
    targets = _chosen(tables, settings.publish)
    if not targets:
        errors.print("LAKEWARD_PUBLISH is none: there is nothing to publish")
    lake = Lake(LakeSettings().root)
    require_tables(lake)
    options = Options(settings.publish_positions, is_full=full, is_dry=dry_run)
    stopping = stop_on_signals()
    done: list[Published] = []
    for target in targets:
        with errors.status(f"{target.mart.label} -> {target.topic}") as status:

            def show(what: str, count: int, total: int | None, name: str = target.topic) -> None:
                of = "" if total is None else f" of {total:,}"
                status.update(f"{name}: {what}, {count:,}{of} messages")

            one = run(
                IngestSettings(), lake, target, options,
                on_progress=show, is_stopping=stopping.is_set,
            )  # fmt: skip
        done.append(one)
        if not as_json:
            _print(one)
        if one.was_stopped:
            break
    if as_json:
        from dataclasses import asdict

        console.print_json(data=[asdict(one) for one in done])
    if stopping.is_set():
        errors.print("stopped; run it again: it goes on where it was")
        raise typer.Exit(INTERRUPTED)


def _chosen(tables: Sequence[str] | None, configured: str) -> list[Target]:
    from serving.mart import LAYER
    from serving.publish.target import parse_targets

    known = parse_targets(configured)
    if not tables:
        return known
    pairs: list[str] = []
    for text in tables:
        if "=" in text:
            pairs.append(text)
            continue
        name = text.removeprefix(f"{LAYER}.")
        topics = [one.topic for one in known if one.mart.name == name]
        if not topics:
            raise typer.BadParameter(
                f"{text!r} is not in LAKEWARD_PUBLISH ({configured}); name its topic: {name}=TOPIC",
                param_hint="TABLES",
            )
        pairs += [f"{name}={topic}" for topic in topics]
    return parse_targets(",".join(pairs))


def _print(one: Published) -> None:
    from rich.markup import escape

    from lakeward.console import console, errors

    def say(text: Any) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    route = f"{one.table} -> {one.topic}"
    if one.from_version == one.to_version and one.basis == "versions":
        say(f"{route}: holds version {one.to_version} already")
    else:
        before = "" if one.from_version is None else f"from version {one.from_version} "
        verb = "would send" if one.is_dry else "sent"
        say(
            f"{route}: {before}to {one.to_version}, {verb} {one.upserts:,} rows, "
            f"{one.tombstones:,} tombstones"
        )
    if one.basis == "topic":
        say(f"  compared with the whole topic: {escape(one.reason)}")
    if one.messages and not one.is_exactly_once:
        say("  at least once: the embedded broker has no transactions")
    for note in one.notes:
        errors.print(f"  [yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
