"""The model of the writer under fire holds; and it would notice if the writer were wrong.

``LAKEWARD_TEST_SCHEDULES`` sets how many schedules are run here; ``make soak`` runs many more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.lake.writer.simulation import mutants
from tests.lake.writer.simulation.mutants import MUTANTS, Mutant
from tests.lake.writer.simulation.run import in_processes, run_schedules

SCHEDULES = int(os.environ.get("LAKEWARD_TEST_SCHEDULES", "160"))
PROCESSES = 2
MUTANT_SCHEDULES = 120
SLOW_TO_FIND = {
    mutants.looks_at_dead_letters_too_late,
    mutants.lets_old_rules_and_new_ones_write_side_by_side,
    mutants.does_not_ask_whose_messages_they_are,
}
"""Not found within so many schedules of seed 1."""


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """The schedules provoke every warning there is, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(1200)
def test_whatever_the_schedule_each_message_is_in_the_lake_exactly_once() -> None:
    share = SCHEDULES // PROCESSES
    failed = in_processes([(seed, share) for seed in range(1, PROCESSES + 1)], PROCESSES)
    assert not failed, "\n".join(failed)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m not in SLOW_TO_FIND], ids=lambda mutant: mutant.__name__
)
def test_the_model_finds_a_writer_that(mutant: Mutant) -> None:
    with mutant(), pytest.raises(AssertionError):
        run_schedules(MUTANT_SCHEDULES, 1, shrink=False)
