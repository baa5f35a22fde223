"""Run dbt for a person: progress while it runs, then what each table got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.dbt_run import DbtResult, NodeResult


def build_and_report(args: Sequence[str], *, target: str) -> bool:
    """Run ``dbt`` with ``args`` on the lake of the settings; return whether all went well.

    Raises:
        MissingTableError: there is no bronze table to build from.
        BuildError: dbt could not start.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from lake.dbt_run import Progress, run_dbt
    from lake.errors import MissingTableError
    from lake.priority import give_way
    from lake.settings import LakeSettings
    from lake.tables import Lake
    from lakeward.console import errors

    settings = LakeSettings()
    if not Lake(settings.root).names("bronze"):
        raise MissingTableError(
            f"there is no bronze table at {settings.root}, so there is nothing to build from",
            hint="bring events in first: lakeward write --until-current",
        )
    give_way(settings.build_niceness)
    running: dict[str, None] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeElapsedColumn(), console=errors, transient=True) as bar:
        task = bar.add_task("reading the dbt project", total=None)

        def show(step: Progress) -> None:
            if step.has_ended:
                running.pop(step.name, None)
                bar.advance(task)
            else:
                running[step.name] = None
            bar.update(
                task, total=step.total, description=", ".join(list(running)[:3]) or "building"
            )

        result = run_dbt(
            args, home=settings.home, lake_root=settings.root, target=target, on_progress=show
        )
    _report(result)
    return result.succeeded


def _report(result: DbtResult) -> None:
    from rich import box
    from rich.table import Table

    from lakeward.console import console, errors

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("table")
    table.add_column("what")
    table.add_column("rows", justify="right")
    table.add_column("seconds", justify="right")
    for node in result.models():
        rows = "" if node.rows is None else f"{node.rows:,}"
        table.add_row(node.label, _what(node), rows, f"{node.seconds:.2f}")
    console.print(table)
    tests = result.tests()
    if tests:
        failed = sum(not test.is_good for test in tests)
        verdict = "all pass" if failed == 0 else f"{failed} do not pass"
        console.print(f"{len(tests)} tests: {verdict}", highlight=False)
    for node in result.failures():
        errors.print(f"[bold red]{node.kind} {node.label}[/]: ", end="")
        errors.print(node.message, markup=False, highlight=False, soft_wrap=True)
        if node.compiled is not None and node.compiled.exists():
            errors.print(f"  its SQL: {node.compiled}", highlight=False, soft_wrap=True)


def _what(node: NodeResult) -> str:
    if not node.is_good:
        return f"[red]{node.status}[/]"
    return node.message.replace(f": {node.rows} rows", "")
