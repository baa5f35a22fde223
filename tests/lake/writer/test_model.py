"""The model of the writer under fire holds; and it would notice if the writer were wrong.

``LAKEWARD_TEST_SCHEDULES`` sets how many schedules are run here: few at a desk, 2,000 in continuous
integration. ``make soak`` runs as many as one likes.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator

import pytest

from tests.lake.writer.simulation.directed import DIRECTED, Schedule, play
from tests.lake.writer.simulation.mutants import MUTANTS
from tests.lake.writer.simulation.run import blocks_of, in_processes

SCHEDULES = int(os.environ.get("LAKEWARD_TEST_SCHEDULES", "160"))
MUTANT_SCHEDULES = 150
SEED = 1


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """The schedules provoke every warning there is, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(1800)
def test_whatever_the_schedule_each_message_is_in_the_lake_exactly_once() -> None:
    failed = in_processes([[block] for block in blocks_of(SCHEDULES, SEED)])
    assert not failed, "\n".join(failed)


@pytest.mark.timeout(1800)
def test_the_model_finds_writers_that_are_wrong() -> None:
    """Each in a few random schedules; one that may need a schedule made for it has it, below."""
    wrong = {mutant.__name__ for mutant in MUTANTS} - {one.__name__ for one in DIRECTED.values()}
    tasks = [
        [f"{SEED}:{MUTANT_SCHEDULES}", "--no-shrink", "--mutant", name] for name in sorted(wrong)
    ]
    told: list[str] = []
    in_processes(tasks, tell=told.append)
    unmasked = re.findall(r"the writer that (\w+) is wrong", "\n".join(told))
    assert set(unmasked) == wrong, "\n".join(told)


@pytest.mark.parametrize("schedule", DIRECTED, ids=lambda schedule: schedule.__name__)
def test_a_schedule_made_for_it_holds_and_unmasks_a_wrong_writer_at_once(
    schedule: Schedule,
) -> None:
    play(schedule)
    with DIRECTED[schedule](), pytest.raises(AssertionError):
        play(schedule)


def test_a_failure_names_the_seed_that_shows_the_same_schedule_again() -> None:
    def failure_of(block: str) -> str:
        mutant = "does_not_ask_whose_messages_they_are"
        (printed,) = in_processes([[block, "--no-shrink", "--mutant", mutant]])
        return printed

    first = failure_of("3:200")
    found = re.search(r"to see it again: make soak SEED=(\d+) N=(\d+)", first)
    assert found is not None, first
    again = failure_of(f"{found[1]}:{found[2]}")
    schedule = re.compile(r"^state\b.*", re.MULTILINE)
    assert len(schedule.findall(first)) > 3
    assert schedule.findall(first) == schedule.findall(again)
