"""``lakeward trace``: the life of one event."""

from __future__ import annotations

from typing import Annotated

import typer

EXIT_UNKNOWN = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(trace)


def trace(
    event_id: Annotated[
        str, typer.Argument(help="The id that the producer gave: event_id, conversion_id, ...")
    ],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", "-t", help="Only this tenant's; ids are unique within a tenant."),
    ] = None,
    contract: Annotated[
        str | None, typer.Option("--contract", "-c", help="Only events of this contract.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """Tell an event's life: request, key, Kafka offset, bronze, silver, gold, or the dead letter.

    Says for each row of that id where it was in Kafka, which Delta version brought it and which
    file has it, what silver made of it, and which gold buckets it counts in; and for each dead
    letter why it is one and what became of it. Exit code 1 when the lake has nothing of that id.
    """
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lake.trace.life import trace as run
    from lakeward.console import console, errors
    from lakeward.trace_report import key_name, life_document, print_life

    ingest = IngestSettings()
    contracts = load_contracts(ingest.contracts_dir)
    if contract is not None:
        contracts.by_name(contract)  # or the error that lists those there are
    life = run(Lake(LakeSettings().root), contracts, event_id, tenant=tenant, contract=contract)
    names = {
        row.bronze.write_key_id: key_name(ingest, row.bronze.tenant_id, row.bronze.write_key_id)
        for row in life.rows
    }
    if as_json:
        console.print_json(data=life_document(life, names))
    elif not life.is_unknown:
        print_life(life, names)
    if life.is_unknown:
        errors.print(
            f"the lake has nothing of {event_id!r}: no row and no dead letter",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_UNKNOWN)
