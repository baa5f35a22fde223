"""Runs schedules of the model: a number of them, from a seed, in as many processes as wanted.

    python -m tests.lake.writer.simulation.run 7:500

runs the 500 schedules of seed 7, as ``make soak SEED=7 N=500`` does. The same seed gives the
same schedules, so a failure is found again; Hypothesis then looks for a shorter schedule that fails
in the same way.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lake.writer.simulation.model import WriterModel

STEPS = 10
ROOT = Path(__file__).parents[4]


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


def in_processes(parts: Sequence[tuple[int, int]], processes: int) -> list[str]:
    """Run blocks in processes of their own; return what each failed one printed.

    deltalake's threads do not survive a fork, so each process begins anew.
    """
    children = []
    for number in range(processes):
        mine = [f"{seed_}:{count}" for seed_, count in parts[number::processes]]
        if mine:
            command = [sys.executable, "-m", "tests.lake.writer.simulation.run", *mine]
            children.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=quiet_environment(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
    try:
        printed = [child.communicate()[0] for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
    return [text for text, child in zip(printed, children, strict=True) if child.returncode != 0]


def quiet_environment() -> dict[str, str]:
    """One thread each for Arrow and delta-rs: the tables are tiny and the processes many."""
    return {**os.environ, "TOKIO_WORKER_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def say(text: str) -> None:
    """Print at once, for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the blocks named on the command line, ``<seed>:<schedules>`` each."""
    parser = argparse.ArgumentParser(prog="python -m tests.lake.writer.simulation.run")
    parser.add_argument("blocks", nargs="+", metavar="SEED:SCHEDULES")
    chosen = [tuple(map(int, block.split(":"))) for block in parser.parse_args().blocks]
    logging.disable(logging.CRITICAL)  # the schedules provoke every warning there is
    for number, schedules in chosen:
        began = time.monotonic()
        try:
            run_schedules(schedules, number)
        except BaseException:
            say(f"\nto see it again: make soak SEED={number} N={schedules}")
            raise
        seconds = time.monotonic() - began
        say(f"seed {number}: {schedules} schedules in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
