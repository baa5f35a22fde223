"""``lakeward tenant deprovision``: erase a tenant for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lake.erasure.certificate import Certificate


def deprovision(
    tenant_id: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    confirm: Annotated[
        str | None, typer.Option(help="The tenant's id once more: nothing of this can be undone.")
    ] = None,
    who: Annotated[
        str | None,
        typer.Option("--who", help="Who the audit log names. [default: the user of this system]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Erase a tenant from every layer and the dead letters, and end its keys. For good.

    Suspends it, waits until running writers know, deletes its rows and the files that held them,
    and leaves a certificate with the counts by table in the audit log and in ops.erasures. Others
    go on meanwhile. Safe to stop anywhere: run again it goes on, with the same certificate in the
    end. Run once more later, it erases what has come in since.

    It does not reach Kafka, which keeps the tenant's messages until the topics' retention ends;
    backups; and copies outside of the lake. The certificate names this.
    """
    from ingest.contracts.registry import load_contracts
    from ingest.errors import TenantError
    from ingest.settings import IngestSettings
    from ingest.tenants.access import open_registry
    from lake.erasure.deprovision import Deprovisioning
    from lake.inventory import require_tables
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import console, errors
    from lakeward.progress import progress
    from lakeward.tenant import user_of
    from serving.catalog import forget_tenant

    ingest, settings = IngestSettings(), LakeSettings()
    lake = Lake(settings.root)
    registry = open_registry(ingest)
    status = registry.tenant(tenant_id).tenant.status
    require_tables(lake)
    if confirm != tenant_id:
        raise TenantError(
            f"this erases every row of {tenant_id}, which is {status}, from {lake.root}, and "
            "cannot be undone",
            hint=f"lakeward tenant deprovision {tenant_id} --confirm {tenant_id}",
        )
    contracts = load_contracts(ingest.contracts_dir)
    work = Deprovisioning(registry, lake, settings, contracts)

    def say_wait(seconds: float) -> None:
        text = f"{tenant_id} is suspended; waiting {seconds:.0f} s until running writers know"
        errors.print(text, markup=False, highlight=False, soft_wrap=True)

    with progress(f"erasing {tenant_id}", None, "tables") as show:
        certificate = work.run(
            tenant_id,
            who=user_of(who),
            on_wait=say_wait,
            on_progress=lambda _, done, total: show(done, total),
        )
    forget_tenant(settings.home, tenant_id)
    if as_json:
        console.print_json(data=certificate.as_document())
    else:
        _print(certificate)


def _print(certificate: Certificate) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from lakeward.console import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("table", no_wrap=True)
    for name in ("rows erased", "files", "version"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in certificate.tables:
        table.add_row(one.table, f"{one.rows:,}", f"{one.files:,}", f"{one.version:,}")
    console.print(table)
    lines = [
        f"[green]erased:[/] {certificate.rows:,} rows of {escape(certificate.tenant_id)}; "
        f"certificate {certificate.erasure_id} of {certificate.finished_at:%Y-%m-%d %H:%M:%S} UTC"
    ]
    undecided = sum(one.undecided_files for one in certificate.tables)
    if undecided:
        lines.append(
            f"[yellow]{undecided:,} young files that a commit might still bring hold rows of it: "
            "run this again tomorrow; Dagster's daily sweep does[/]"
        )
    if certificate.kept:
        lines.append(
            f"left alone: {', '.join(certificate.kept)}, which come from dbt_project/seeds; take "
            "the tenant out of the files there"
        )
    lines += [f"not reached: {escape(text)}" for text in certificate.not_reached]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
