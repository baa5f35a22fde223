"""``lakeward dead-letters``: what is bad is kept, shown, mended, replayed and let go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lake.dead_letters.selection import Selection
from lakeward.letter_filters import takes_filters
from lakeward.signals import INTERRUPTED

if TYPE_CHECKING:
    from lake.tables import Lake

EXIT_STILL_DEAD = 1
Form = Literal["jsonl", "parquet"]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Messages that are no rows: look at them, mend them, replay them, let them go.",
        no_args_is_help=True,
    )
    group.command("list")(list_letters)
    group.command()(show)
    group.command()(stats)
    group.command()(replay)
    group.command()(export)
    group.command()(purge)
    group.command()(mirror)
    app.add_typer(group, name="dead-letters")


@takes_filters
def list_letters(
    selection: Selection,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 means all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first: where they were in Kafka, why, and what became of them.

    The address in the first column is what `lakeward dead-letters show` takes.
    """
    from lake.dead_letters.reading import LetterReader
    from lakeward.console import console, errors
    from lakeward.letter_report import letter_document, letters_table

    with LetterReader(_lake()) as reader:
        total = reader.count(selection)
        letters = reader.letters(selection, limit or None)
    if as_json:
        console.print_json(data=[letter_document(one) for one in letters])
        return
    console.print(letters_table(letters))
    if total > len(letters):
        errors.print(f"{len(letters):,} of {total:,} letters; --limit 0 shows all", style="dim")
    else:
        console.print(f"{total:,} letters", highlight=False)


def show(
    address: Annotated[
        str, typer.Argument(help="<topic>:<partition>:<offset>, as `list` shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: its bytes, key and headers, why it is one, and its history.

    What it holds came from outside and may be anything, personal data included. Control characters
    are written out, so that nothing in it can drive the terminal.
    """
    from lake.dead_letters.reading import find
    from lakeward.console import console, errors
    from lakeward.letter_report import print_letter, whole_document

    found = find(_lake(), address)
    errors.print("what follows is what a producer sent, and may hold personal data", style="yellow")
    if as_json:
        console.print_json(data=[whole_document(one) for one in found])
        return
    for one in found:
        print_letter(one)


@takes_filters
def stats(
    selection: Selection,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", "-b",
            help="Count by reason, contract, tenant_id, standing or day; can be repeated. "
            "[default: reason, contract, tenant_id]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Count dead letters by reason, contract, tenant or day, and by what became of them."""
    from lake.dead_letters.reading import GROUPINGS, LetterReader
    from lakeward.console import console
    from lakeward.letter_report import counts_document, counts_table

    wanted = [one for one in GROUPINGS if one in (by or ("reason", "contract", "tenant_id"))]
    unknown = sorted(set(by or ()) - set(GROUPINGS))
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(GROUPINGS)}", param_hint="--by"
        )
    with LetterReader(_lake()) as reader:
        counts = {grouping: reader.counts(grouping, selection) for grouping in wanted}
    if as_json:
        console.print_json(data={name: counts_document(one) for name, one in counts.items()})
        return
    for name, one in counts.items():
        console.print(counts_table(name, one))


@takes_filters
def replay(
    selection: Selection,
    mend: Annotated[
        Path | None,
        typer.Option(
            "--mend", "-m", metavar="FILE",
            help="What is to be done to each payload first; docs/reference/mending.md.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show before, after and the verdict; change nothing."),
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, help="How many letters a dry run shows in full.")
    ] = 3,
    everything: Annotated[
        bool, typer.Option("--all", help="Every letter that is no row yet; needed without filters.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many letters.")] = None,
    tenant_change: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-tenant-change", metavar="OLD=NEW",
            help="Letters of tenant OLD may become events of tenant NEW; otherwise such a letter "
            "fails. Can be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Take dead letters once more, mended or not; what is right now becomes a row, exactly once.

    Rows keep the Kafka coordinates that their messages had. A letter that fails again stays what it
    was, and its history says why. Safe beside the writer and beside other replays, and safe to
    kill: run the same command again. Exit code 1 when letters failed.
    """
    from datetime import UTC, datetime
    from uuid import uuid4

    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.dead_letters.mending import load_mending
    from lake.dead_letters.plan import ReplayPlan
    from lake.dead_letters.replay import replay as run
    from lake.settings import LakeSettings
    from lake.writer.known_tenants import known_tenants
    from lakeward.console import console, errors
    from lakeward.letter_report import print_replayed, replayed_document
    from lakeward.progress import progress
    from lakeward.signals import stop_on_signals

    if selection.is_everything and not everything and limit is None:
        raise typer.BadParameter("name the letters by filters, or give --all")
    plan = ReplayPlan(
        selection,
        None if mend is None else load_mending(mend),
        _pairs(tenant_change or []),
        limit,
        dry_run,
        sample if dry_run else 0,
    )
    ingest = IngestSettings()
    contracts = load_contracts(ingest.contracts_dir)
    stopping = stop_on_signals()
    with progress("replaying", None, "letters") as bar:
        done = run(
            _lake(),
            contracts,
            known_tenants(ingest, LakeSettings())(),
            plan,
            uuid4().hex[:12],
            now=lambda: datetime.now(UTC),
            on_progress=bar,
            should_stop=stopping.is_set,
        )
    if as_json:
        console.print_json(data=replayed_document(done))
    else:
        print_replayed(done)
    if not done.is_finished:
        errors.print("interrupted: run the same command again to go on")
        raise typer.Exit(INTERRUPTED)
    if done.failed:
        raise typer.Exit(EXIT_STILL_DEAD)


@takes_filters
def export(
    selection: Selection,
    file: Annotated[Path, typer.Argument(help="Where to; - writes JSON Lines to standard output.")],
    form: Annotated[
        Form | None,
        typer.Option("--format", "-f", help="Default: by the name of the file."),
    ] = None,
) -> None:
    """Write dead letters to a file with everything: bytes, coordinates, reason and history.

    JSON Lines has payload and key in base64, and beside it as text where they are UTF-8; Parquet
    has the bytes. The file may hold personal data.
    """
    from lake.dead_letters.export import export as run
    from lakeward.console import errors
    from lakeward.progress import progress

    is_stream = str(file) == "-"
    if form is None:
        form = _form_of(file)
    if is_stream and form == "parquet":
        raise typer.BadParameter("Parquet needs a file", param_hint="--format")
    with progress("exporting", None, "letters") as bar:
        count = run(_lake(), selection, sys.stdout if is_stream else file, form, bar)
    if not is_stream:
        errors.print(f"{count:,} letters in {file}, which may hold personal data", highlight=False)


@takes_filters
def purge(
    selection: Selection,
    older_than: Annotated[
        int | None,
        typer.Option("--older-than", metavar="DAYS", min=0, help="That came into the lake so many "
                     "days ago or earlier."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every letter; needed without filters.")
    ] = False,
    why: Annotated[str, typer.Option(help="Is kept in the history with each letter.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Delete dead letters for good; ops.dead_letter_history keeps where they were and why.

    The audit stays whole: it counts them as let go. Their bytes stay in older versions of the table
    until `lakeward maintain` vacuums those. Asks first.
    """
    from dataclasses import asdict, replace
    from datetime import UTC, datetime, timedelta
    from uuid import uuid4

    from lake.dead_letters.purge import purge as run
    from lake.dead_letters.reading import LetterReader
    from lakeward.console import console
    from lakeward.letter_report import counts_table
    from lakeward.progress import progress

    now = datetime.now(UTC)
    if older_than is not None:
        before = now - timedelta(days=older_than)
        given = selection.committed_before
        selection = replace(
            selection, committed_before=before if given is None else min(before, given)
        )
    if selection.is_everything and not everything:
        raise typer.BadParameter("name the letters by filters or --older-than, or give --all")
    lake = _lake()
    if not yes:
        with LetterReader(lake) as reader:
            total = reader.count(selection)
            console.print(counts_table("reason", reader.counts("reason", selection)))
        typer.confirm(f"Delete these {total:,} dead letters for good?", abort=True)
    with progress("purging", None, "letters") as bar:
        done = run(
            lake,
            selection,
            uuid4().hex[:12],
            now=lambda: datetime.now(UTC),
            why=why,
            on_progress=bar,
        )
    if as_json:
        console.print_json(data=asdict(done))
        return
    console.print(f"{done.letters:,} letters are let go", highlight=False)
    if done.finished:
        console.print(f"{done.finished:,} more, of a purge that was cut off", highlight=False)
    if done.unsettled:
        console.print(
            f"{done.unsettled:,} left alone: the writer is about to take them up", highlight=False
        )


def mirror(
    topic: Annotated[
        str | None, typer.Option(help="Where to. [default: LAKEWARD_DEAD_LETTERS_TOPIC]")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until stopped.")] = False,
    every: Annotated[
        float, typer.Option(min=0.5, help="With --follow: seconds between two looks.")
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Send new dead letters to a Kafka topic, for other consumers; goes on where it was.

    At least once: the message key, topic:topic-id:partition:offset, names a letter for ever, so a
    consumer can drop one that it has seen. Letters that were replayed or purged are not recalled.
    """
    from dataclasses import asdict

    from ingest.settings import IngestSettings
    from lake.dead_letters.mirror import mirror as run
    from lake.settings import LakeSettings
    from lakeward.console import console
    from lakeward.progress import progress
    from lakeward.signals import stop_on_signals

    to = topic or LakeSettings().dead_letters_topic
    stopping = stop_on_signals()
    while True:
        with progress("mirroring", None, "letters") as bar:
            done = run(IngestSettings(), _lake(), to, on_progress=bar)
        if as_json:
            console.print_json(data={"topic": to, **asdict(done)})
        elif done.letters or not follow:
            console.print(
                f"{done.letters:,} letters sent to {to}, up to version {done.to_version:,}",
                highlight=False,
            )
        if not follow or stopping.wait(every):
            return


def _lake() -> Lake:
    from lake.settings import LakeSettings
    from lake.tables import Lake

    return Lake(LakeSettings().root)


def _form_of(file: Path) -> Form:
    if file.suffix == ".parquet":
        return "parquet"
    if str(file) == "-" or file.suffix in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    raise typer.BadParameter(
        f"{file.name} does not say what to write: name it .jsonl or .parquet, or give --format",
        param_hint="FILE",
    )


def _pairs(texts: list[str]) -> frozenset[tuple[str, str]]:
    found = set()
    for text in texts:
        old, separator, new = text.partition("=")
        if not (separator and old.strip() and new.strip()):
            raise typer.BadParameter(f"{text!r} is no OLD=NEW", param_hint="--allow-tenant-change")
        found.add((old.strip(), new.strip()))
    return frozenset(found)
