"""Schedules written by hand, for what random ones meet seldom, and the writer each unmasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.lake.writer.simulation import mutants
from tests.lake.writer.simulation.model import (
    STRANGE,
    MessageKind,
    WriterModel,
    contracts_of,
)
from tests.lake.writer.simulation.mutants import Mutant

Schedule = Callable[[WriterModel], None]


def _begin(model: WriterModel, kinds: Sequence[MessageKind] = ("good",)) -> None:
    model.begin(is_double=False, is_new=False, is_lending=False, is_patient=False, kinds=[*kinds])


def _upgrade(model: WriterModel, **more: Any) -> None:
    usual = {"who": 0, "number": 0, "kinds": ["good"], "sleeping": None, "is_rolled_back": False}
    model.upgrade_beside_a_sleeper(**(usual | {"fault": None, "skip": 0} | more))


def rules_change_and_change_back_over_a_sleeper(model: WriterModel) -> None:
    """Rules of today, of yesterday and of today again; whoever slept knows only the first."""
    _begin(model)
    _upgrade(model, sleeping="stricter", version="first", is_rolled_back=True)


def newer_rules_die_between_dead_letters_and_bronze(model: WriterModel) -> None:
    """What an old writer takes for good is a dead letter already, and bronze does not show it."""
    _begin(model)
    _upgrade(model, version="stricter", fault="crash_before", skip=1)


def dead_letters_come_between_two_batches(model: WriterModel) -> None:
    """The handle moves on with the first batch, and with it what the second would look at."""
    _begin(model)
    model.start(version="first", accept_gap=False, mask=15, fault=None, skip=0)
    model.sleep_over_two_batches(
        who=0, first=0, second=1, kinds=["broken"], more=["broken"], fault=None, skip=0
    )


def topic_is_made_again_and_outgrows_the_old_one(model: WriterModel) -> None:
    """The reader's next offset is there, and is another message than it seems."""
    _begin(model, ["good", "good"])
    model.recreate_under_a_reader(who=0, number=0, kinds=["good"], is_flushed=False)


def newer_rules_come_while_messages_wait(model: WriterModel) -> None:
    """What older rules have decoded is in the buffer when another of the newer rules comes by."""
    _begin(model)
    changing = model.writers[0]
    changing.turn(9, flush=False)
    model._append(model.kafka.partition(model.key(0)), ["good", "good"])
    changing.turn(9, flush=False)
    changing.hear(contracts_of("stricter", is_double=False), None)
    changing.turn(0, flush=False)
    model.start(version="stricter", accept_gap=False, mask=15, fault=None, skip=0)
    other = model.writers[-1]
    model.faults.arm("crash_before", 1, lambda: None)
    other.turn(9, flush=True)
    other.commit()
    model.faults.disarm()
    model.work(who=0, number=0, kinds=["good"], messages=9, then="commit", fault=None, skip=0)


def rules_change_under_a_sleeper_of_the_old_ones(model: WriterModel) -> None:
    """Dead letters of the newer rules are stored, bronze is not, and the sleeper wakes up."""
    _begin(model)
    model.start(version="first", accept_gap=False, mask=15, fault=None, skip=0)
    changing, sleeper = model.writers
    sleeper.turn(9, flush=True)
    changing.hear(contracts_of("first", is_double=False), STRANGE)
    changing.turn(0, flush=False)
    model.faults.arm("crash_before", 1, lambda: None)
    changing.turn(9, flush=True)
    changing.commit()
    model.faults.disarm()
    sleeper.commit()


def kafka_forgets_what_nobody_has_read(model: WriterModel) -> None:
    """The next writer begins behind a gap, and has to say so or to be told to."""
    _begin(model)
    model.work(who=0, number=0, kinds=["good"], messages=9, then="commit", fault=None, skip=0)
    model._append(model.kafka.partition(model.key(0)), ["good", "good"])
    model.weather(number=0, what="expire", share=4, kinds=["good"])


DIRECTED: dict[Schedule, Mutant] = {
    rules_change_and_change_back_over_a_sleeper: mutants.claims_look_alike,
    newer_rules_die_between_dead_letters_and_bronze: (
        mutants.lets_old_rules_and_new_ones_write_side_by_side
    ),
    dead_letters_come_between_two_batches: mutants.looks_at_dead_letters_too_late,
    newer_rules_come_while_messages_wait: mutants.keeps_what_older_rules_decoded,
    rules_change_under_a_sleeper_of_the_old_ones: mutants.changes_its_rules_without_a_claim,
    kafka_forgets_what_nobody_has_read: mutants.goes_on_over_a_gap_without_a_word,
    topic_is_made_again_and_outgrows_the_old_one: mutants.does_not_ask_whose_messages_they_are,
}


def play(schedule: Schedule) -> None:
    """Run one, with all that must hold after each step and at the end.

    Raises:
        AssertionError: something did not hold.
    """
    model = WriterModel()
    try:
        schedule(model)
        model.each_offset_is_there_at_most_once()
    finally:
        model.teardown()
