"""The sensors that turn the end of a run into an alert."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunStatusSensorContext,
    SensorDefinition,
    run_failure_sensor,
    run_status_sensor,
)

from orchestration.alerts import Alert, AlertBook
from orchestration.settings import OrchestrationSettings

FAILURE_SENSOR = "alert_on_failure"
RECOVERY_SENSOR = "alert_on_recovery"
SHOWN_CHECKS = 5


def alert_sensors(
    settings: OrchestrationSettings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[SensorDefinition]:
    """Return the sensors, none when there is no URL to tell."""
    urls = settings.alert_addresses
    if not urls:
        return []
    book = AlertBook(
        settings.dagster_home / "alerts.json", urls, timedelta(hours=settings.alert_repeat_hours)
    )

    @run_failure_sensor(
        name=FAILURE_SENSOR,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells people that a run failed, and which checks stopped it.",
    )
    def on_failure(context: RunFailureSensorContext) -> None:
        run = context.dagster_run
        checks = blocking_checks(context.instance, run.run_id)
        errors = [
            (event.step_key or "the run", step_error(event.step_failure_data.error_display_string))
            for event in context.get_step_failure_events()
            if event.step_failure_data.error is not None
        ]
        problem = told_problem(checks, [step for step, _ in errors])
        alert = failure_alert(
            run, problem, checks, errors or [("the run", context.failure_event.message or "")],
            settings.alert_link,
        )  # fmt: skip
        for delivery in book.failed(subject_of(run), problem, alert, now()):
            context.log.info(f"alert {delivery.place}: {delivery.error or 'sent'}")

    @run_status_sensor(
        run_status=DagsterRunStatus.SUCCESS,
        name=RECOVERY_SENSOR,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells people that what failed is well again.",
    )
    def on_recovery(context: RunStatusSensorContext) -> None:
        for delivery in book.succeeded(subject_of(context.dagster_run), now()):
            context.log.info(f"alert {delivery.place}: {delivery.error or 'sent'}")

    return [on_failure, on_recovery]


def subject_of(run: DagsterRun) -> str:
    """Return what failed or went well: the job, or the assets of a run that has none."""
    if not run.job_name.startswith("__"):
        return f"job {run.job_name}"
    chosen = sorted(key.to_user_string() for key in run.asset_selection or ())
    return f"the run of {', '.join(chosen) or 'everything'}"


def blocking_checks(instance: DagsterInstance, run_id: str) -> list[AssetCheckEvaluation]:
    """Return the failed checks of a run that stop what follows."""
    found = []
    for record in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        event = record.get_dagster_event()
        evaluation = event.asset_check_evaluation_data
        if not evaluation.passed and evaluation.severity == AssetCheckSeverity.ERROR:
            found.append(evaluation)
    return found


def told_problem(checks: list[AssetCheckEvaluation], steps: list[str]) -> str:
    """Name what failed, alike for every run that fails in the same way."""
    if checks:
        names = sorted({f"{c.asset_key.to_user_string()}:{c.check_name}" for c in checks})
        return f"the checks {', '.join(names)}"
    return f"the steps {', '.join(sorted(set(steps)))}" if steps else "an end without a failed step"


def step_error(text: str) -> str:
    """Return the lines of an error that say what was wrong, without the stack below them."""
    return text.split("\nStack Trace:")[0].strip()


def failure_alert(
    run: DagsterRun,
    problem: str,
    checks: list[AssetCheckEvaluation],
    errors: list[tuple[str, str]],
    link: str | None,
) -> Alert:
    """Put the message together: what failed, which rows for example, where to look."""
    lines = [f"Failed by {problem}."]
    for check in checks[:SHOWN_CHECKS]:
        lines.append(f"\n**{check.asset_key.to_user_string()}**: {check.description}")
        table = check.metadata.get("what does not hold")
        if table is not None:
            lines.append(f"\n{table.value}")
    if len(checks) > SHOWN_CHECKS:
        lines.append(f"\nand {len(checks) - SHOWN_CHECKS} more checks")
    if not checks:
        lines += [f"\n**{step}**: {error}" for step, error in errors]
    where = f"{link.rstrip('/')}/runs/{run.run_id}" if link else f"run {run.run_id}"
    lines.append(f"\nIn Dagster: {where}")
    return Alert(f"lakeward: {subject_of(run)} failed", "\n".join(lines))
