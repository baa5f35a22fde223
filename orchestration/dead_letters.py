"""Dead letters in Dagster: the job that replays them, and the daily report.

Dagster looks at the annotations of ``context`` and ``config`` itself, so they are not strings here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    Config,
    Failure,
    JobDefinition,
    MaterializeResult,
    MetadataValue,
    OpExecutionContext,
    asset,
    job,
    op,
)
from pydantic import Field

from ingest.contracts.registry import ContractSet
from ingest.errors import LakewardError
from ingest.settings import IngestSettings
from lake.dead_letters.mending import parse_mending
from lake.dead_letters.outcome import Replayed
from lake.dead_letters.plan import ReplayPlan
from lake.dead_letters.replay import replay
from lake.dead_letters.report import REPORT, Line, keep, report
from lake.dead_letters.selection import Selection
from lake.settings import LakeSettings
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.known_tenants import known_tenants
from orchestration.jobs import REPLAY_JOB
from orchestration.keys import table_key

REPORT_KEY = table_key("ops", REPORT)
SHOWN_LINES = 50


class Letters(Config):
    """Which letters, and what is done to them first."""

    contract: str | None = Field(default=None, description="Only letters of this contract.")
    reason: str | None = Field(default=None, description="Only those rejected for this reason.")
    tenant: str | None = Field(default=None, description="Only those that name this tenant.")
    topic: str | None = Field(default=None, description="Only those of this topic.")
    limit: int | None = Field(default=None, description="At most so many.")
    mending: dict[str, Any] | None = Field(
        default=None, description="What a mending file says: docs/reference/mending.md."
    )
    dry_run: bool = Field(default=False, description="Only count; change nothing.")


def replay_job(
    lake: Lake,
    contracts: ContractSet,
    ingest: IngestSettings,
    settings: LakeSettings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> JobDefinition:
    """Return the job that replays letters; it may be run again and beside others."""

    @op(description="Mends, decodes again, and lands what is a row now, exactly once.")
    def take_letters_once_more(context: OpExecutionContext, config: Letters) -> None:
        mending = None
        try:
            if config.mending is not None:
                mending = parse_mending(config.mending, "mending")
            done = replay(
                lake,
                contracts,
                known_tenants(ingest, settings)(),
                ReplayPlan(
                    Selection(
                        contract=config.contract,
                        reason=config.reason,
                        tenant=config.tenant,
                        topic=config.topic,
                    ),
                    mending,
                    limit=config.limit,
                    dry_run=config.dry_run,
                ),
                context.run_id[:12],
                now=now,
                on_progress=lambda count, total: context.log.info(f"{count} of {total} letters"),
            )
        except LakewardError as error:
            raise Failure(description=str(error), allow_retries=False) from error
        context.add_output_metadata(_replayed(done))

    @job(name=REPLAY_JOB, description="Replays dead letters, mended or not, exactly once.")
    def replay_dead_letters() -> None:
        take_letters_once_more()

    return replay_dead_letters


def letter_report(
    lake: Lake, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AssetsDefinition:
    """Return the asset that counts the letters and keeps the counts, a day at a time."""

    @asset(
        key=REPORT_KEY,
        group_name="ops",
        kinds={"deltalake"},
        deps=[table_key("bronze", DEAD_LETTERS)],
        description="Dead letters by contract, reason and tenant: new within a day, waiting, "
        "failed again, replayed.",
    )
    def dead_letter_report(context: AssetExecutionContext) -> MaterializeResult[None]:
        at = now()
        if not lake.exists("bronze", DEAD_LETTERS):
            return MaterializeResult(metadata={"letters": MetadataValue.int(0)})
        lines = report(lake, at)
        if not keep(lake, lines, at.date()):
            context.log.info(f"the report of {at:%Y-%m-%d} is kept already")
        return MaterializeResult(metadata=_reported(lines))

    return dead_letter_report


def _replayed(done: Replayed) -> dict[str, MetadataValue[Any]]:
    return {
        "letters": MetadataValue.int(done.taken),
        "replayed": MetadataValue.int(done.replayed.total()),
        "failed": MetadataValue.int(done.failed.total()),
        "by contract": MetadataValue.json(dict(done.replayed)),
        "why failed": MetadataValue.json(dict(done.failed)),
        "dry run": MetadataValue.bool(done.dry_run),
    }


def _reported(lines: Iterable[Line]) -> dict[str, MetadataValue[Any]]:
    listed = list(lines)
    return {
        "new letters": MetadataValue.int(sum(one.new for one in listed)),
        "open letters": MetadataValue.int(sum(one.open for one in listed)),
        "replayed letters": MetadataValue.int(sum(one.counts["replayed"] for one in listed)),
        "counts": MetadataValue.md(_as_markdown(listed)),
    }


def _as_markdown(lines: list[Line]) -> str:
    rows = ["| contract | reason | tenant | new | waiting | failed | replayed |", "|" + "---|" * 7]
    for one in lines[:SHOWN_LINES]:
        cells = (
            one.contract,
            one.reason,
            (one.tenant_id or "none").replace("|", "/"),
            *(str(count) for count in (one.new, *one.counts.values())),
        )
        rows.append("| " + " | ".join(cells) + " |")
    if len(lines) > SHOWN_LINES:
        rows.append(f"\nand {len(lines) - SHOWN_LINES} more")
    return "\n".join(rows)
