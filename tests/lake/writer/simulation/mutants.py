"""Writers that are wrong in a way that somebody's writer once was; the model must find each out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

import lake.writer.sink
import lake.writer.sinks
from lake.journal import Journal
from lake.writer.commit import Outcome, TransactionalTable
from lake.writer.loop import WriterLoop
from lake.writer.rules import Rules
from lake.writer.same_topic import SameTopic
from lake.writer.sink import NO_OFFSETS, Flushed, Sink
from lake.writer.sinks import Sinks
from lake.writer.source import Source
from lake.writer.start import StartingPoints
from lake.writer.taken import Offsets

Mutant = Callable[[], Any]


def opens_the_head_before_each_commit() -> Any:
    """Checks on one handle, commits with a new one, as a sink does that opens by URI."""
    write = TransactionalTable._write

    def writing(self: TransactionalTable, *args: Any) -> None:
        self._table = self._opener.open()
        write(self, *args)

    return patch.object(TransactionalTable, "_write", writing)


def retries_blindly() -> Any:
    """Takes every failed commit for one that did not land."""
    state = TransactionalTable._state

    def looking(self: TransactionalTable, span: Any) -> str:
        found = state(self, span)
        return "open" if self.conflicts else found

    return patch.object(TransactionalTable, "_state", looking)


@contextmanager
def writes_bronze_before_dead_letters() -> Iterator[None]:
    """Passes a message before its dead letter is stored."""
    commit = Sink._commit

    class Later:
        def __init__(self) -> None:
            self.calls: list[tuple[Any, ...]] = []

        def commit(self, spans: Any, rows: Any, **_: Any) -> Outcome:
            self.calls.append((spans, rows))
            return Outcome(frozenset(span.source for span in spans), frozenset(), None)

    def committing(self: Sink, *args: Any) -> Flushed:
        dead_letters, later = self._dead_letters, Later()
        self._dead_letters = later  # type: ignore[assignment]
        try:
            flushed = commit(self, *args)
        finally:
            self._dead_letters = dead_letters
        for spans, rows in later.calls:
            dead_letters.commit(spans, rows)
        return flushed

    with patch.object(Sink, "_commit", committing):
        yield


def forgets_which_dead_letters_are_stored() -> Any:
    """Begins after bronze, as if no dead letter could be ahead of it."""

    def none(*_: Any) -> Offsets:
        return NO_OFFSETS

    return patch.object(Sink, "_dead_offsets_beyond", none)


def takes_the_dead_letters_position_for_all_before_it() -> Any:
    """Drops everything up to the dead-letter position instead of what the table holds."""

    def everything(self: Sink, source: Source, position: int | None) -> Offsets:
        dead_position, _ = self._dead_marks[source]
        first = 0 if position is None else position + 1
        last = -1 if dead_position is None else dead_position
        return np.arange(first, last + 1, dtype=np.int64)

    return patch.object(Sink, "_dead_offsets_beyond", everything)


def looks_at_dead_letters_too_late() -> Any:
    """Expects what the dead-letter table says now, not what it said at the take-over."""
    span = Sink._dead_span

    def spanning(self: Sink, part: Any, record: Any) -> Any:
        self._dead_marks[part.source] = self._read_dead_marks(part.source)
        return span(self, part, record)

    return patch.object(Sink, "_dead_span", spanning)


def lets_old_rules_and_new_ones_write_side_by_side() -> Any:
    """Gives every contract version one number, so that nobody claims a partition."""
    return patch.object(lake.writer.sinks, "rules_number", lambda *_: 1)


def claims_look_alike() -> Any:
    """Claims a partition for its rules with a number that every such claim has."""
    return patch.object(lake.writer.sink, "CLAIM_BITS", 0)


def goes_on_over_a_gap_without_a_word() -> Any:
    """Begins with what Kafka has, whatever the tables lack, and notes nothing."""
    find, write = StartingPoints.find, Journal.write

    def finding(self: StartingPoints, offered: Any) -> Any:
        self._accept_gap = True
        return find(self, offered)

    def writing(self: Journal, entries: Any) -> None:
        write(self, [entry for entry in entries if entry.kind != "gap_accepted"])

    patches = ExitStack()
    patches.enter_context(patch.object(StartingPoints, "find", finding))
    patches.enter_context(patch.object(Journal, "write", writing))
    return patches


def takes_offset_zero_for_nothing() -> Any:
    """Asks ``if position`` where it should ask ``if position is not None``."""
    version_of = TransactionalTable.version_of

    def asking(self: TransactionalTable, app_id: str) -> int | None:
        return version_of(self, app_id) or None

    return patch.object(TransactionalTable, "version_of", asking)


def does_not_ask_whose_messages_they_are() -> Any:
    """Commits without knowing that the topic is still the one that was polled."""

    return patch.object(SameTopic, "confirm", lambda *_: None)


def keeps_the_buffer_of_a_lost_partition() -> Any:
    """Forgets the position of a partition that was taken away, but not its messages."""

    return patch.object(WriterLoop, "_forget", lambda *_: None)


def keeps_what_older_rules_decoded() -> Any:
    """Claims its partitions for new rules, and commits under that claim what it had buffered."""

    def taking(self: WriterLoop) -> None:
        assert self._rules is not None
        for rules in self._rules.news():
            self._sinks.change(rules)
            self._sinks.take_over(cursor.source for cursor in self._cursors.values())
            self._rules.taken(rules)

    return patch.object(WriterLoop, "_take_new_rules", taking)


def changes_its_rules_without_a_claim() -> Any:
    """Decodes by new rules from now on, and leaves in the tables the claim of the old ones."""

    def changing(self: Sinks, rules: Rules) -> None:
        topic = rules.contract.topic
        if topic in self._by_topic:
            self._by_topic[topic]._decoder = lake.writer.sinks.Decoder(  # type: ignore[attr-defined]
                rules.contract, rules.tenants
            )
        else:
            change(self, rules)

    change = Sinks.change
    return patch.object(Sinks, "change", changing)


MUTANTS: tuple[Mutant, ...] = (
    opens_the_head_before_each_commit,
    retries_blindly,
    writes_bronze_before_dead_letters,
    forgets_which_dead_letters_are_stored,
    takes_the_dead_letters_position_for_all_before_it,
    looks_at_dead_letters_too_late,
    lets_old_rules_and_new_ones_write_side_by_side,
    claims_look_alike,
    goes_on_over_a_gap_without_a_word,
    takes_offset_zero_for_nothing,
    does_not_ask_whose_messages_they_are,
    keeps_the_buffer_of_a_lost_partition,
    keeps_what_older_rules_decoded,
    changes_its_rules_without_a_claim,
)
