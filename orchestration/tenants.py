"""The job that lets a tenant in.

Dagster looks at the annotations of ``context`` and ``config`` itself, so they are not strings here.
"""

from collections.abc import Iterable
from enum import StrEnum

from dagster import Config, Failure, JobDefinition, MetadataValue, OpExecutionContext, job, op
from pydantic import Field

from ingest.contracts.model import Contract
from ingest.errors import LakewardError
from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from ingest.tenants.model import Privacy, Quota
from ingest.tenants.reading import TenantRecord
from ingest.tenants.registry import Registry
from ingest.topics import ensure_topics
from orchestration.jobs import PROVISION_JOB


class KeptIp(StrEnum):
    """What is kept of an IP address."""

    truncate = "truncate"
    drop = "drop"
    keep = "keep"


class KeptUserAgent(StrEnum):
    """What is kept of a user agent."""

    parsed = "parsed"
    keep = "keep"


class NewTenant(Config):
    """Who is let in; of a tenant that is registered already, only the id is looked at."""

    tenant_id: str = Field(description="Lower-case letters, digits, '-' and '_'.")
    name: str | None = Field(default=None, description="What people call it.")
    ip: KeptIp = KeptIp.truncate
    user_agent: KeptUserAgent = KeptUserAgent.parsed
    requests_per_second: float = Quota().requests_per_second
    burst: int = Quota().burst


def provision_job(ingest: IngestSettings, contracts: Iterable[Contract]) -> JobDefinition:
    """Return the job that registers a tenant, prepares its way and lets its events in.

    It makes no write key: Dagster keeps what a run says, and a key is shown once, to whoever asks
    for it by ``lakeward tenant add-key``. It may die anywhere and be run again.
    """

    @op(description="Registers the tenant as pending, and goes on with one that is.")
    def register_the_tenant(context: OpExecutionContext, config: NewTenant) -> str:
        registry = open_registry(ingest)
        try:
            found = _registered(registry, config, _who(context))
        except LakewardError as error:
            raise _failure(error) from error
        status = found.tenant.status
        if status not in ("pending", "active"):
            raise Failure(
                description=f"{config.tenant_id} is {status}, and is not let in by this job",
                allow_retries=False,
            )
        context.add_output_metadata({"status": MetadataValue.text(status)})
        return config.tenant_id

    @op(description="Makes the topics that are missing.")
    def prepare_its_way(context: OpExecutionContext, tenant_id: str) -> str:
        made = ensure_topics(ingest, contracts)
        context.add_output_metadata({"topics made": MetadataValue.text(", ".join(made) or "none")})
        return tenant_id

    @op(description="Activates the tenant: collector and writer take its events within seconds.")
    def let_its_events_in(context: OpExecutionContext, tenant_id: str) -> None:
        registry = open_registry(ingest)
        if registry.tenant(tenant_id).tenant.status != "active":
            registry.activate(tenant_id, who=_who(context))
        active = sum(one.tenant.may_send for one in registry.tenants())
        if active == 1:
            context.log.warning("It is the only active tenant: others' events are dead letters.")
        context.add_output_metadata(
            {
                "active tenants": MetadataValue.int(active),
                "write key": MetadataValue.text(f"lakeward tenant add-key {tenant_id} default"),
            }
        )

    @job(name=PROVISION_JOB, description="Registers a tenant and lets its events in.")
    def provision_tenant() -> None:
        let_its_events_in(prepare_its_way(register_the_tenant()))

    return provision_tenant


def _registered(registry: Registry, config: NewTenant, who: str) -> TenantRecord:
    there = {one.tenant.tenant_id for one in registry.tenants()}
    if config.tenant_id not in there:
        registry.create(
            config.tenant_id,
            config.name,
            who=who,
            status="pending",
            privacy=Privacy(config.ip.value, config.user_agent.value),
            quota=Quota(config.requests_per_second, config.burst),
        )
    return registry.tenant(config.tenant_id)


def _failure(error: LakewardError) -> Failure:
    """Return what a person has to mend, which no retry would."""
    return Failure(description=str(error), allow_retries=False)


def _who(context: OpExecutionContext) -> str:
    return f"dagster run {context.run_id}"
