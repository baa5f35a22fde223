"""Runs schedules of the model: a number of them, from a seed, on every core there is.

    python -m tests.lake.writer.simulation.run 7:500 8:500

runs the 500 schedules of seed 7 and those of seed 8. The same block gives the same schedules, so
a failure is found again; Hypothesis then looks for a shorter schedule that fails in the same way.
``make soak SEED=7 N=20000`` cuts its number into blocks, and a failure names the block it was in.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lake.writer.simulation.model import WriterModel
from tests.lake.writer.simulation.mutants import MUTANTS, Mutant

STEPS = 10
BLOCK = 250
"""Schedules that are run in one process, one after the other."""
ROOT = Path(__file__).parents[4]
ME = "tests.lake.writer.simulation.run"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def run_schedules(schedules: int, number: int, *, shrink: bool = True) -> None:
    """Run schedules that follow from the seed ``number``.

    Raises:
        AssertionError: something did not hold; the notes on it show the schedule.
    """

    class Model(WriterModel):
        pass

    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        seed(number)(Model),
        settings=settings(
            max_examples=schedules,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=phases,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def blocks_of(schedules: int, number: int) -> list[str]:
    """Cut so many schedules into blocks, with the seeds from ``number`` on."""
    counts = [BLOCK] * (schedules // BLOCK) + [schedules % BLOCK]
    return [f"{number + at}:{count}" for at, count in enumerate(counts) if count]


def in_processes(
    tasks: Iterable[list[str]], *, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Run the command lines in a process each, as many at a time as there are cores.

    Returns what each failed one printed. deltalake's threads do not survive a fork, so each
    process begins anew.
    """
    failed = []
    processes = max(1, len(CORES) or os.cpu_count() or 1)
    free = list(CORES[:processes])

    def run(task: list[str]) -> tuple[bool, str]:
        core = free.pop() if free else None
        try:
            pinned = [] if core is None else ["--core", str(core)]
            done = subprocess.run(
                [sys.executable, "-m", ME, *pinned, *task],
                cwd=ROOT,
                env=quiet_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        finally:
            if core is not None:
                free.append(core)
        return done.returncode == 0, done.stdout

    with ThreadPoolExecutor(processes) as pool:
        for done in as_completed([pool.submit(run, task) for task in tasks]):
            is_well, printed = done.result()
            tell(printed.rstrip())
            if not is_well:
                failed.append(printed)
    return failed


def quiet_environment() -> dict[str, str]:
    """One thread each for Arrow and delta-rs: the tables are tiny and the processes many."""
    return {**os.environ, "TOKIO_WORKER_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def say(text: str) -> None:
    """Print at once, for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run_block(number: int, schedules: int, mutant: Mutant | None, *, shrink: bool) -> None:
    """Run one block and say how it went.

    Raises:
        AssertionError: something did not hold.
    """
    began = time.monotonic()
    try:
        with nullcontext() if mutant is None else mutant():
            run_schedules(schedules, number, shrink=shrink)
    except AssertionError:
        say(f"\nto see it again: make soak SEED={number} N={schedules}")
        if mutant is not None:
            say(f"the writer that {mutant.__name__} is wrong, after {WriterModel.begun} schedules")
        raise
    seconds = time.monotonic() - began
    say(f"seed {number}: {schedules} schedules in {seconds:.0f} s")


def main(arguments: list[str] | None = None) -> int:
    """Run blocks, ``<seed>:<schedules>`` each, here; with ``--soak`` in processes of their own."""
    parser = argparse.ArgumentParser(prog=f"python -m {ME}")
    parser.add_argument("blocks", nargs="+", metavar="SEED:SCHEDULES")
    parser.add_argument("--soak", action="store_true", help=f"in blocks of {BLOCK}, on every core")
    parser.add_argument("--mutant", choices=[m.__name__ for m in MUTANTS], help="plant a fault")
    parser.add_argument("--no-shrink", action="store_true", help="take the first failure as it is")
    parser.add_argument("--core", type=int, help="stay on this core: its threads take turns anyway")
    options = parser.parse_args(arguments)
    blocks = [(int(number), int(count)) for number, count in (b.split(":") for b in options.blocks)]
    if options.soak:
        cut = [block for number, count in blocks for block in blocks_of(count, number)]
        return 1 if in_processes([[block] for block in cut], tell=say) else 0
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    logging.disable(logging.CRITICAL)  # the schedules provoke every warning there is
    mutant = next((m for m in MUTANTS if m.__name__ == options.mutant), None)
    for number, schedules in blocks:
        run_block(number, schedules, mutant, shrink=not options.no_shrink)
    return 0


if __name__ == "__main__":
    sys.exit(main())
