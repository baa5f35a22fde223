"""``lakeward contracts overlay``: a tenant's own typed fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ingest.contracts.model import Contract
    from ingest.contracts.overlay import Overlay
    from ingest.tenants.overlays import OverlayRecord, OverlayRegistry

ContractName = Annotated[
    str, typer.Argument(metavar="CONTRACT", help="As `lakeward contracts list` has it.")
]
TenantId = Annotated[str, typer.Option("--tenant", help="The tenant's id.")]
Who = Annotated[
    str | None,
    typer.Option("--who", help="Who the audit log names. [default: the user of this system]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]


def overlay_app() -> typer.Typer:
    """Return the commands."""
    group = typer.Typer(
        help="A tenant's own typed fields, read from the JSON that is kept of its events.",
        no_args_is_help=True,
    )
    group.command()(add)
    group.command("list")(list_overlays)
    group.command()(show)
    group.command()(retire)
    group.command()(apply)
    return group


def add(
    contract: ContractName,
    tenant: TenantId,
    field: Annotated[
        list[str],
        typer.Option(
            help="name:type, or name:type=member.inner when it is sent under another name or "
            "inside of another member. Types: string, integer, number, decimal(10,2), boolean, "
            "timestamp, date. Can be repeated."
        ),
    ],
    who: Who = None,
) -> None:
    """Add typed fields of one tenant to a contract; its views show them as columns.

    No stored row is changed: the columns are read from what the tenant sent under names that the
    contract does not know, also before. A value of another type is null in the column and still in
    the JSON. A field keeps its type for ever, and can be retired.
    """
    from ingest.contracts.overlay import grown, parse_field

    registry, known = _opened(contract)
    fields = [parse_field(text) for text in field]
    taken = _columns(tenant, contract)
    made = registry.change(
        tenant, contract, lambda now: grown(known, now, fields, taken), who=_who(who)
    )
    _apply(registry, tenant, made, _who(who))


def retire(
    contract: ContractName,
    tenant: TenantId,
    field: Annotated[list[str], typer.Option(help="The field's name. Can be repeated.")],
    who: Who = None,
) -> None:
    """Show fields of a tenant no more; what was sent stays, and the names stay taken."""
    from ingest.contracts.overlay import without

    registry, _ = _opened(contract)
    made = registry.change(
        tenant, contract, lambda now: without(contract, now, field), who=_who(who)
    )
    _apply(registry, tenant, made, _who(who))


def apply(tenant: TenantId, who: Who = None) -> None:
    """Show versions that were added before the tenant's silver tables were there."""
    from lakeward.console import console

    registry, _ = _opened(None)
    newest: dict[str, OverlayRecord] = {}
    for record in registry.overlays(tenant):
        newest[record.overlay.contract] = record
    waiting = [one.overlay for one in newest.values() if one.applied_at is None]
    for overlay in waiting:
        _apply(registry, tenant, overlay, _who(who))
    if not waiting:
        console.print("every overlay is applied", highlight=False)


def list_overlays(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant. [default: all]")] = None,
    as_json: AsJson = False,
) -> None:
    """List the overlays: tenant, contract, version, fields."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console

    registry, _ = _opened(None)
    tenants = [tenant] if tenant else [one.tenant.tenant_id for one in registry.tenants()]
    newest: dict[tuple[str, str], OverlayRecord] = {}
    for name in tenants:
        for record in registry.overlays(name):
            newest[name, record.overlay.contract] = record
    if as_json:
        console.print_json(data=[_document(one) for one in newest.values()])
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("tenant", "contract", "version", "applied (UTC)", "fields"):
        table.add_column(title)
    for one in newest.values():
        applied = "not yet" if one.applied_at is None else f"{one.applied_at:%Y-%m-%d %H:%M}"
        fields = ", ".join(f"{f.name}:{f.type_name}" for f in one.overlay.columns)
        cells = (one.tenant_id, one.overlay.contract, str(one.overlay.version), applied, fields)
        table.add_row(*map(escape, cells))
    console.print(table)


def show(contract: ContractName, tenant: TenantId, as_json: AsJson = False) -> None:
    """Show every version of a tenant's overlay on a contract."""
    from rich.markup import escape

    from lakeward.console import console

    registry, _ = _opened(contract)
    records = registry.overlays(tenant, contract)
    if as_json:
        console.print_json(data=[_document(one) for one in records])
        return
    if not records:
        console.print(f"{escape(tenant)} has no overlay on {contract}", highlight=False)
    for one in records:
        applied = "not applied" if one.applied_at is None else f"applied {one.applied_at:%F %R} UTC"
        console.print(
            f"[bold]version {one.overlay.version}[/], {one.created_at:%F %R} UTC, {applied}",
            highlight=False,
        )
        for field in one.overlay.fields:
            retired = ", retired" if field.is_retired else ""
            line = f"  {field.name}: {field.type_name} from {'.'.join(field.path)}{retired}"
            console.print(escape(line), highlight=False, soft_wrap=True)


def _apply(registry: OverlayRegistry, tenant: str, overlay: Overlay, who: str) -> None:
    """Try a version on the tenant's view, and note it when it works."""
    from ingest.settings import IngestSettings
    from lake.overlay_sql import silver_name
    from lake.read import LakeReader
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lake.tenant_share import share_of
    from lakeward.console import console, errors
    from lakeward.tenant import with_overlays
    from serving.catalog import build_catalog, is_copy, tenant_catalog_path

    lake = Lake(LakeSettings().root)
    table = silver_name(overlay.contract)
    label = f"overlay {overlay.contract} of {tenant}, version {overlay.version}"
    if not lake.exists("silver", table):
        errors.print(
            f"{label}: recorded, and not applied, since there is no silver.{table} yet; "
            f"`lakeward contracts overlay apply --tenant {tenant}` does it then",
            style="yellow", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        return
    overlays = {**registry.shown(tenant), overlay.contract: overlay}
    share = with_overlays(share_of(lake, tenant), overlays)
    with LakeReader(lake, share=share) as reader:
        reader.table(f"from silver.{table} limit 0")
    registry.applied(tenant, overlay, who=who)
    path = tenant_catalog_path(IngestSettings().home, tenant)
    if path.exists():
        build_catalog(lake, path, share, copy=is_copy(path))
    names = ", ".join(field.name for field in overlay.columns) or "no field"
    console.print(f"{label}: silver.{table} shows {names}", markup=False, highlight=False)


def _opened(contract: str | None) -> tuple[OverlayRegistry, Contract]:
    """Return the registry, and the contract of that name (any, when none is named)."""
    from ingest.contracts.registry import load_contracts
    from ingest.settings import IngestSettings
    from ingest.tenants.access import open_registry
    from ingest.tenants.overlays import OverlayRegistry

    settings = IngestSettings()
    contracts = load_contracts(settings.contracts_dir)
    known = next(iter(contracts)) if contract is None else contracts.by_name(contract)
    return OverlayRegistry(open_registry(settings).database), known


def _columns(tenant: str, contract: str) -> tuple[str, ...]:
    """Return the columns that the tenant's silver table has, none before it is there."""
    from lake.overlay_sql import silver_name
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lake.tenant_share import share_of

    wanted = silver_name(contract)
    for table in share_of(Lake(LakeSettings().root), tenant).tables:
        if (table.layer, table.name) == ("silver", wanted):
            return table.columns
    return ()


def _document(record: OverlayRecord) -> dict[str, Any]:
    return {
        "tenant_id": record.tenant_id,
        "contract": record.overlay.contract,
        "version": record.overlay.version,
        "created_at": record.created_at.isoformat(),
        "applied_at": None if record.applied_at is None else record.applied_at.isoformat(),
        "fields": [field.as_document() for field in record.overlay.fields],
    }


def _who(named: str | None) -> str:
    from lakeward.tenant import user_of

    return user_of(named)
