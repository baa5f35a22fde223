"""The jobs that take a tenant out, and that erase what comes in of it later.

Dagster looks at the annotations of ``context`` and ``config`` itself, so they are not strings here.
"""

from collections.abc import Iterable

from dagster import Config, Failure, JobDefinition, MetadataValue, OpExecutionContext, job, op
from pydantic import Field

from ingest.contracts.model import Contract
from ingest.errors import LakewardError
from ingest.settings import IngestSettings
from ingest.tenants.access import is_there, open_registry
from lake.erasure.certificate import Certificate
from lake.erasure.deprovision import Deprovisioning
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.jobs import DEPROVISION_JOB, SWEEP_JOB
from serving.catalog import forget_tenant


class DoomedTenant(Config):
    """Who is erased; both must be the same."""

    tenant_id: str = Field(description="The tenant's id.")
    confirm: str = Field(description="The tenant's id once more: nothing of this can be undone.")


def deprovision_job(
    ingest: IngestSettings, lake: Lake, settings: LakeSettings, contracts: Iterable[Contract]
) -> JobDefinition:
    """Return the job that erases a tenant and leaves the certificate; it may be run again."""
    known = tuple(contracts)

    @op(description="Suspends the tenant, erases it from every layer, leaves the certificate.")
    def erase_the_tenant(context: OpExecutionContext, config: DoomedTenant) -> None:
        if config.confirm != config.tenant_id:
            raise Failure(
                description=f"confirm must be {config.tenant_id}: every row of it is erased",
                allow_retries=False,
            )
        work = Deprovisioning(open_registry(ingest), lake, settings, known)
        try:
            certificate = work.run(config.tenant_id, who=f"dagster run {context.run_id}")
            forget_tenant(settings.home, config.tenant_id)
        except LakewardError as error:
            raise Failure(description=str(error), allow_retries=False) from error
        context.add_output_metadata(
            {
                "certificate": MetadataValue.json(certificate.as_document()),
                "tables": MetadataValue.md(as_markdown(certificate)),
                "rows": MetadataValue.int(certificate.rows),
            }
        )

    @job(name=DEPROVISION_JOB, description="Erases a tenant for good; asks for confirmation.")
    def deprovision_tenant() -> None:
        erase_the_tenant()

    return deprovision_tenant


def sweep_job(
    ingest: IngestSettings, lake: Lake, settings: LakeSettings, contracts: Iterable[Contract]
) -> JobDefinition:
    """Return the job that erases what came in of deprovisioned tenants, such as dead letters."""
    known = tuple(contracts)

    @op(description="Erases what has come in of deprovisioned tenants.")
    def erase_late_rows(context: OpExecutionContext) -> None:
        fresh: list[Certificate] = []
        if is_there(ingest):
            work = Deprovisioning(open_registry(ingest), lake, settings, known)
            try:
                fresh = work.sweep()
            except LakewardError as error:
                raise Failure(description=str(error), allow_retries=False) from error
        context.add_output_metadata(
            {
                "rows": MetadataValue.int(sum(one.rows for one in fresh)),
                "certificates": MetadataValue.json([one.as_document() for one in fresh]),
            }
        )

    @job(name=SWEEP_JOB, description="Erases what came in of tenants that were deprovisioned.")
    def sweep_deprovisioned_tenants() -> None:
        erase_late_rows()

    return sweep_deprovisioned_tenants


def as_markdown(certificate: Certificate) -> str:
    """Return one line a table that had rows of the tenant."""
    lines = ["| table | rows | files |", "|---|---|---|"]
    lines += [f"| {t.table} | {t.rows} | {t.files} |" for t in certificate.tables if t.rows]
    return "\n".join(lines)
