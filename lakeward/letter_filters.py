"""The filters that ``lakeward dead-letters`` takes: one list, for every command that selects."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import typer

from lake.dead_letters.selection import Selection, Standing

WHICH = "Which letters"


def takes_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the parameters of ``selection_of`` as options, and hand it what they select.

    ``command`` has a parameter ``selection``, in the place of which the options stand.
    """
    filters = inspect.signature(selection_of, eval_str=True).parameters
    own = dict(inspect.signature(command, eval_str=True).parameters)
    del own["selection"]

    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in filters}
        command(selection=selection_of(**chosen), **given)

    parameters = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in (*own.values(), *filters.values())
    ]
    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def selection_of(
    *,
    contract: Annotated[
        str | None,
        typer.Option("--contract", "-c", help="Of this contract.", rich_help_panel=WHICH),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", "-r", help="Rejected for this reason, e.g. not_json.", rich_help_panel=WHICH
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", "-t", help="That name this tenant.", rich_help_panel=WHICH),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Of this topic.", rich_help_panel=WHICH)] = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Of this partition.", rich_help_panel=WHICH)
    ] = None,
    offsets: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST", rich_help_panel=WHICH,
            help="With offsets in this range, both inclusive; or one offset.",
        ),
    ] = None,
    appended_from: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", rich_help_panel=WHICH,
            help="That came into Kafka at this time or later, e.g. 2026-03-01T12:00Z.",
        ),
    ] = None,
    appended_before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="That came into Kafka before.", rich_help_panel=WHICH),
    ] = None,
    committed_from: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", rich_help_panel=WHICH,
            help="That the writer put away at this time or later.",
        ),
    ] = None,
    committed_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="That the writer put away before.", rich_help_panel=WHICH
        ),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome", "-o", rich_help_panel=WHICH,
            help="waiting: never replayed; failed: the last replay failed; replayed: it is a row "
            "now. Can be repeated.",
        ),
    ] = None,
) -> Selection:  # fmt: skip
    """Return what the options say.

    Raises:
        typer.BadParameter: one of them makes no sense.
    """
    from ingest.contracts.reasons import REASONS

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
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise typer.BadParameter(
            f"{text!r} ends before it begins; write it like 100-199", param_hint="--offsets"
        )
    return first, last
