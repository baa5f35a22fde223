"""The jobs that keep the tables healthy; what they do is in ``lake.maintenance``.

Dagster looks at the annotation of ``context`` itself, so annotations are not strings here.
"""

from collections.abc import Iterable
from dataclasses import replace

from dagster import Failure, JobDefinition, MetadataValue, OpExecutionContext, job, op

from lake.maintenance.run import Maintained, Options, Step, maintain
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.jobs import COMPACT_JOB, MAINTAIN_JOB
from orchestration.retries import STORE_RETRIES

COMPACT_STEPS: frozenset[Step] = frozenset({"compact", "fold", "checkpoint", "clean"})
"""What pays off many times a day: few files make each commit and each query quick."""


def maintain_job(lake: Lake, settings: LakeSettings) -> JobDefinition:
    """Return the job that does everything, and fails when a table could not be maintained."""

    @op(
        description="Merges small files, makes checkpoints, vacuums, shortens the logs.",
        retry_policy=STORE_RETRIES,
    )
    def look_after_the_tables(context: OpExecutionContext) -> None:
        _run(context, lake, Options.of(settings))

    @job(name=MAINTAIN_JOB, description="Keeps the tables small and quick to open.")
    def maintain_tables() -> None:
        look_after_the_tables()

    return maintain_tables


def compact_job(lake: Lake, settings: LakeSettings) -> JobDefinition:
    """Return the job that merges small files, often."""

    @op(description="Merges small files, and makes checkpoints.", retry_policy=STORE_RETRIES)
    def merge_small_files(context: OpExecutionContext) -> None:
        _run(context, lake, replace(Options.of(settings), steps=COMPACT_STEPS))

    @job(name=COMPACT_JOB, description="Merges the small files of frequent commits.")
    def compact_tables() -> None:
        merge_small_files()

    return compact_tables


def _run(context: OpExecutionContext, lake: Lake, options: Options) -> None:
    done = []
    for one in maintain(lake, options):
        done.append(one)
        for note in one.notes:
            context.log.warning(f"{one.label}: {note}")
    compacted = [one.compacted for one in done if one.compacted is not None]
    context.add_output_metadata(
        {
            "tables": MetadataValue.md(as_markdown(done)),
            "files merged": MetadataValue.int(sum(c.files_merged for c in compacted)),
            "files vacuumed": MetadataValue.int(
                sum(one.vacuumed.files for one in done if one.vacuumed is not None)
            ),
            "log files removed": MetadataValue.int(
                sum(one.cleaned.files for one in done if one.cleaned is not None)
            ),
        }
    )
    failed = [one for one in done if one.error is not None]
    if failed:
        raise Failure(
            description="; ".join(f"{one.label}: {one.error}" for one in failed),
            allow_retries=False,
        )


def as_markdown(done: Iterable[Maintained]) -> str:
    """Return one line a table."""
    lines = [
        "| table | files before | after | vacuumed | log files removed |",
        "|---|---|---|---|---|",
    ]
    for one in done:
        files, vacuumed, cleaned = one.compacted, one.vacuumed, one.cleaned
        lines.append(
            f"| {one.label} | {files.files_before if files else ''} "
            f"| {files.files_after if files else ''} | {vacuumed.files if vacuumed else ''} "
            f"| {cleaned.files if cleaned else ''} |"
        )
    return "\n".join(lines)
