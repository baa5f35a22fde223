"""The filters that every ``lakeward dead-letters`` command takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from lake.dead_letters.selection import Selection

WHICH = "Which letters"

Contract = Annotated[
    str | None, typer.Option("--contract", "-c", help="Of this contract.", rich_help_panel=WHICH)
]
Reason = Annotated[
    str | None,
    typer.Option(
        "--reason", "-r", help="Rejected for this reason, e.g. not_json.", rich_help_panel=WHICH
    ),
]
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", "-t", help="That name this tenant.", rich_help_panel=WHICH),
]
Topic = Annotated[str | None, typer.Option(help="Of this topic.", rich_help_panel=WHICH)]
Partition = Annotated[
    int | None, typer.Option(min=0, help="Of this partition.", rich_help_panel=WHICH)
]
Offsets = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST-LAST", help="With offsets in this range, both inclusive; or one offset.",
        rich_help_panel=WHICH,
    ),
]  # fmt: skip
AppendedFrom = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="That came into Kafka at this time or later, e.g. 2026-03-01T12:00Z.",
        rich_help_panel=WHICH,
    ),
]  # fmt: skip
AppendedBefore = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="That came into Kafka before.", rich_help_panel=WHICH),
]
CommittedFrom = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="That the writer put away at this time or later.",
        rich_help_panel=WHICH,
    ),
]  # fmt: skip
CommittedBefore = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="That the writer put away before.", rich_help_panel=WHICH),
]
Outcome = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome", "-o",
        help="waiting: never replayed; failed: the last replay failed; replayed: it is a row now. "
        "Can be repeated.",
        rich_help_panel=WHICH,
    ),
]  # fmt: skip


def selection_of(
    *,
    contract: str | None = None,
    reason: str | None = None,
    tenant: str | None = None,
    topic: str | None = None,
    partition: int | None = None,
    offsets: str | None = None,
    appended_from: str | None = None,
    appended_before: str | None = None,
    committed_from: str | None = None,
    committed_before: str | None = None,
    outcome: list[str] | None = None,
) -> Selection:
    """Return what the options say.

    Raises:
        typer.BadParameter: one of them makes no sense.
    """
    from ingest.contracts.reasons import REASONS
    from lake.dead_letters.selection import Selection, Standing

    if reason is not None and reason not in REASONS:
        raise typer.BadParameter(
            f"{reason!r} is none of {', '.join(REASONS)}", param_hint="--reason"
        )
    words = get_args(Standing)
    for word in outcome or ():
        if word not in words:
            raise typer.BadParameter(
                f"{word!r} is none of {', '.join(words)}", param_hint="--outcome"
            )
    first, last = _range(offsets)
    return Selection(
        contract=contract,
        reason=reason,
        tenant=tenant,
        topic=topic,
        partition=partition,
        first_offset=first,
        last_offset=last,
        appended_from=moment(appended_from, "--appended-from"),
        appended_before=moment(appended_before, "--appended-before"),
        committed_from=moment(committed_from, "--committed-from"),
        committed_before=moment(committed_before, "--committed-before"),
        standing=frozenset(word for word in words if word in outcome) if outcome else None,
    )


def moment(text: str | None, option: str) -> datetime | None:
    """Return a time that a user gave; UTC unless it says otherwise.

    Raises:
        typer.BadParameter: it is none.
    """
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write it like 2026-03-01 or 2026-03-01T12:00:00Z",
            param_hint=option,
        ) from None
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no range; write it like 100-199", param_hint="--offsets"
        )
    return int(found[1]), int(found[2] or found[1])
