"""Jobs that look after the lake and after Dagster itself.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    Failure,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    RunsFilter,
    job,
    op,
)

from lake.audit import AuditReport, audit
from lake.tables import Lake
from orchestration.jobs import AUDIT_JOB, FORGET_JOB
from orchestration.retries import STORE_RETRIES

SHOWN_FINDINGS = 20
RUNS_AT_ONCE = 500
FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def audit_job(lake: Lake) -> JobDefinition:
    """Return the job that proves the promise, and fails when it does not hold."""

    @op(
        description="Every offset up to the stored one is in the lake exactly once.",
        retry_policy=STORE_RETRIES,
    )
    def prove_the_promise(context: OpExecutionContext) -> None:
        report = audit(lake)
        context.add_output_metadata(
            {
                "messages": MetadataValue.int(report.messages),
                "rows": MetadataValue.int(report.rows),
                "dead letters": MetadataValue.int(report.dead),
                "findings": MetadataValue.int(len(report.findings)),
            }
        )
        if not report.is_clean:
            raise Failure(
                description="the promise does not hold: messages are lost or doubled",
                metadata={"findings": MetadataValue.md(_as_markdown(report))},
                allow_retries=False,
            )

    @job(name=AUDIT_JOB, description="Proves that nothing is lost and nothing is counted twice.")
    def audit_everything() -> None:
        prove_the_promise()

    return audit_everything


def forget_job(
    days: int, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> JobDefinition:
    """Return the job that removes Dagster's finished runs and their logs after ``days``."""

    @op(description="Dagster keeps every run for ever if nobody removes them.")
    def forget(context: OpExecutionContext) -> None:
        forgotten = forget_runs(context.instance, now() - timedelta(days=days))
        context.add_output_metadata({"runs forgotten": MetadataValue.int(forgotten)})

    @job(name=FORGET_JOB, description=f"Removes runs that ended more than {days} days ago.")
    def forget_old_runs() -> None:
        forget()

    return forget_old_runs


def forget_runs(instance: DagsterInstance, before: datetime) -> int:
    """Delete finished runs that were last touched before ``before``; return how many."""
    old = RunsFilter(statuses=FINISHED, updated_before=before)
    forgotten = 0
    while runs := instance.get_runs(filters=old, limit=RUNS_AT_ONCE):
        for run in runs:
            instance.delete_run(run.run_id)
        forgotten += len(runs)
    return forgotten


def _as_markdown(report: AuditReport) -> str:
    lines = ["| kind | table | partition | count | what |", "|---|---|---|---|---|"]
    for one in report.findings[:SHOWN_FINDINGS]:
        lines.append(f"| {one.kind} | {one.table} | {one.source} | {one.count} | {one.what} |")
    if len(report.findings) > SHOWN_FINDINGS:
        lines.append(f"\nand {len(report.findings) - SHOWN_FINDINGS} more")
    return "\n".join(lines)
