"""``lakeward contracts``: what events are made of."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakeward.overlays import overlay_app

if TYPE_CHECKING:
    from ingest.contracts.compatibility import Change
    from ingest.contracts.model import Contract
    from ingest.contracts.registry import ContractSet


class Form(StrEnum):
    """How to write a contract."""

    text = "text"
    json_schema = "json-schema"
    arrow = "arrow"
    odcs = "odcs"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What events are made of: one file a topic, and all that follows from it.",
        no_args_is_help=True,
    )
    group.command("list")(list_contracts)
    group.command()(show)
    group.command()(check)
    group.command()(generate)
    group.add_typer(overlay_app(), name="overlay")
    app.add_typer(group, name="contracts")


def list_contracts(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """List the contracts: the shipped ones and those in LAKEWARD_CONTRACTS_DIR."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console

    contracts, _ = _load()
    if as_json:
        console.print_json(
            data=[
                {
                    "name": c.name, "topic": c.topic, "version": c.version, "owner": c.owner,
                    "fields": len(c.fields), "key": list(c.key), "description": c.description,
                    "file": str(c.path),
                }
                for c in contracts
            ]
        )  # fmt: skip
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("contract", "topic", "version"):
        table.add_column(name, no_wrap=True)
    table.add_column("fields", justify="right")
    table.add_column("owner")
    table.add_column("what it is")
    for c in contracts:
        cells = (c.name, c.topic, c.version, str(len(c.fields)), c.owner, c.description)
        table.add_row(*map(escape, cells))
    console.print(table)


def show(
    name: Annotated[str, typer.Argument(help="The contract, as `lakeward contracts list` has it.")],
    form: Annotated[
        Form, typer.Option("--format", "-f", help="How to write it; odcs is the file itself.")
    ] = Form.text,
) -> None:
    """Show one contract: as text, JSON Schema, Arrow schema or the ODCS file."""
    from ingest.contracts.arrow import payload_schema
    from ingest.contracts.json_schema import payload_json_schema
    from lakeward.console import console

    contracts, _ = _load()
    contract = contracts.by_name(name)
    if form is Form.json_schema:
        console.print_json(data=payload_json_schema(contract))
    elif form is Form.arrow:
        console.out(payload_schema(contract).to_string(), highlight=False)
    elif form is Form.odcs and contract.path is not None:
        console.out(contract.path.read_text("utf-8"), highlight=False, end="")
    else:
        _print_contract(contract)


def check(
    against: Annotated[
        str, typer.Option(metavar="REF", help="The commit, branch or tag to compare with.")
    ] = "HEAD",
    against_file: Annotated[
        list[Path] | None,
        typer.Option(help="Compare with this file instead of with git; can be repeated."),
    ] = None,
) -> None:
    """Check the contract files, and that no change breaks producers or stored data.

    Refused, with the reason and exit code 2: a field or contract that is removed, renamed or
    retyped, a new required field, fewer allowed values, another topic or key, a change without a
    new version, and generated files that do not follow from the contracts any more.
    """
    from rich.markup import escape

    from ingest.contracts.compatibility import NEW_CONTRACT_HINT
    from ingest.errors import ContractError
    from lakeward.console import console
    from lakeward.generated import CHECKOUT, generated_files, is_checkout

    contracts, extra_dir = _load()
    if against_file:
        changes = _changes_since_files(contracts, against_file)
        reference: str | None = ", ".join(map(str, against_file))
    else:
        changes, compared = _changes_since_commit(contracts, against, extra_dir)
        reference = against if compared else None
    for change in changes:
        if change.compatible:
            line = f"[green]compatible:[/] {escape(str(change))}"
            console.print(line, highlight=False, soft_wrap=True)
    refused = [str(change) for change in changes if not change.compatible]
    if refused:
        message = "\n  ".join([f"incompatible with {reference}:", *refused])
        raise ContractError(message, hint=NEW_CONTRACT_HINT)
    if is_checkout(CHECKOUT):
        files = [(file.path, file.drift) for file in generated_files(extra_dir)]
        drifted = [f"{path} {drift}" for path, drift in files if drift is not None]
        if drifted:
            raise ContractError("\n".join(drifted), hint="run `lakeward contracts generate`")
    kept = "" if reference is None else f", and nothing in them breaks {reference}"
    console.print(escape(f"{len(contracts)} contracts are valid{kept}"), highlight=False)


def generate(
    into: Annotated[
        Path | None,
        typer.Option(help="The source folder of lakeward; by default the one this runs from."),
    ] = None,
) -> None:
    """Write what follows from the contracts: dbt sources and reference pages."""
    from rich.markup import escape

    from ingest.errors import ContractError
    from lakeward.console import console
    from lakeward.generated import CHECKOUT, generated_files, is_checkout

    root = CHECKOUT if into is None else into
    if not is_checkout(root):
        raise ContractError(
            f"{root}: expected lakeward's source folder, with pyproject.toml and dbt_project/",
            hint="name it with --into",
        )
    _, extra_dir = _load()
    stale = [file for file in generated_files(extra_dir, root) if file.is_stale]
    for file in stale:
        file.write()
        verb = "removed" if file.text is None else "wrote"
        console.print(f"{verb} {escape(str(file.path))}", highlight=False, soft_wrap=True)
    if not stale:
        console.print("every generated file is already what the contracts say")


def _load() -> tuple[ContractSet, Path | None]:
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings

    extra_dir = IngestSettings().contracts_dir
    return load_contracts(extra_dir), extra_dir


def _changes_since_files(contracts: ContractSet, files: list[Path]) -> list[Change]:
    from ingest.contracts.compatibility import compare_all
    from ingest.contracts.loader import load_contract

    old = [load_contract(path) for path in files]
    names = {contract.name for contract in old}
    topics = {contract.topic for contract in old}
    return compare_all(old, [c for c in contracts if c.name in names or c.topic in topics])


def _changes_since_commit(
    contracts: ContractSet, ref: str, extra_dir: Path | None
) -> tuple[list[Change], bool]:
    """Return what changed since ``ref``, and whether any folder could be compared."""
    from rich.markup import escape

    from ingest.contracts.compatibility import compare_all
    from ingest.contracts.history import UnversionedError, contracts_at
    from ingest.contracts.registry import SHIPPED
    from lakeward.console import errors

    changes: list[Change] = []
    compared = False
    for folder in dict.fromkeys((SHIPPED, extra_dir or SHIPPED)):
        here = [c for c in contracts if c.path is not None and c.path.parent == folder]
        try:
            past = contracts_at(ref, folder)
        except UnversionedError as error:
            warning = f"not compared with {ref}: {error.message}"
            errors.print(escape(warning), highlight=False, soft_wrap=True)
            continue
        for line in past.unreadable:
            warning = f"not compared, was no valid contract at {ref}: {line}"
            errors.print(escape(warning), highlight=False, soft_wrap=True)
        changes.extend(compare_all(past.contracts, here))
        compared = True
    return changes, compared


def _print_contract(contract: Contract) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ingest.contracts.reference import column_doc, type_name
    from lakeward.console import console

    console.print(f"[bold]{contract.name}[/] {contract.version}", highlight=False)
    console.print(escape(contract.description), highlight=False)
    kept = "for ever" if contract.retention_days is None else f"{contract.retention_days} days"
    facts = {
        "topic": contract.topic,
        "key": ", ".join(contract.key),
        "event time": contract.event_time,
        "message key": ", ".join(contract.message_key),
        "owner": contract.owner,
        "kept": kept,
        "file": str(contract.path),
    }
    for name, value in facts.items():
        console.print(f"  {name:<12} {escape(value)}", highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("column", "type", "required"):
        table.add_column(name, no_wrap=True)
    table.add_column("meaning")
    for field in contract.fields:
        required = "yes" if field.required else ""
        meaning = column_doc(field)
        if field.payload_name != field.name:
            meaning = f"`{field.payload_name}` in the payload. {meaning}"
        table.add_row(*map(escape, (field.name, type_name(field), required, meaning)))
    console.print(table)
