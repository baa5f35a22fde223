"""Where to begin with each partition, and when to refuse.

The tables say what is stored; Kafka says what it still has. When the two do not meet, messages may
have been lost that nobody saw, and only a person can decide to go on (``--accept-gap``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lake.errors import OffsetGapError
from lake.journal import Entry, Journal, accepted_gaps, incarnations
from lake.writer.source import Source

logger = logging.getLogger(__name__)

TopicPartitionKey = tuple[str, int]
HINT: Final = (
    "Those messages cannot be read any more. `--accept-gap` writes this down in ops.journal, where "
    "`lakeward audit` finds it, and goes on with what Kafka has."
)


NO_ID: Final = "none"
"""The topic id used where the broker gives none."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What Kafka has of a partition: offsets from ``low`` up to, not including, ``end``."""

    topic_id: str
    low: int
    end: int


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading of a source begins."""

    source: Source
    held: int | None
    """The last offset in the tables; None: nothing."""
    first: int
    """The next offset to read."""


class StartingPoints:
    """Decides where to begin, from the journal, the tables and Kafka."""

    def __init__(
        self,
        journal: Journal,
        take_over: Callable[[Iterable[Source]], Mapping[Source, int | None]],
        look: Callable[[Iterable[Source]], Mapping[Source, int | None]],
        true_ends: Callable[[Iterable[TopicPartitionKey]], Mapping[TopicPartitionKey, int]],
        *,
        accept_gap: bool,
    ) -> None:
        """Wire the parts.

        Args:
            journal: which incarnations were seen, which gaps were accepted.
            take_over: claims sources in the tables and says where each stands.
            look: says where sources stand that are no longer read.
            true_ends: reads up to partitions' ends; asked only where the end looks too low.
            accept_gap: go on where offsets are missing.
        """
        self._journal = journal
        self._take_over = take_over
        self._look = look
        self._true_ends = true_ends
        self._accept_gap = accept_gap

    def find(self, offered: Mapping[TopicPartitionKey, Offered]) -> dict[TopicPartitionKey, Start]:
        """Return a start for each partition.

        Raises:
            OffsetGapError: offsets are gone that the tables do not hold, with every partition
                concerned and the numbers; nothing was written then.
        """
        entries = self._journal.entries()
        known = incarnations(entries)
        current = {
            key: self._incarnation(key, offer.topic_id, known) for key, offer in offered.items()
        }
        former = {key: known[key] for key in offered if key in known and known[key] != current[key]}
        held = {**self._take_over(current.values()), **self._look(former.values())}
        ends = self._ends({key: (held[current[key]], offer) for key, offer in offered.items()})
        problems: list[str] = []
        notes: list[Entry] = []
        starts: dict[TopicPartitionKey, Start] = {}
        for key, told in offered.items():
            offer = replace(told, end=ends[key])
            source = current[key]
            if key not in known:
                notes.append(self._journal.entry("topic_first_seen", source, offer.low, None))
            elif key in former:
                old = former[key]
                if held[old] is not None:
                    problems.append(_recreated(old, held[old], offer))
                notes.append(
                    self._journal.entry(
                        "topic_recreated",
                        source,
                        offer.low,
                        None,
                        f"was {old.topic_id}, stored up to {held[old]}",
                    )
                )
            starts[key] = self._start(source, held[source], offer, entries, problems, notes)
        if problems and not self._accept_gap:
            raise OffsetGapError("\n".join(problems), hint=HINT)
        for problem in problems:
            logger.warning("gap_accepted", extra={"what": problem})
        self._journal.write(notes)
        renumbered = [s.source for s in starts.values() if s.source not in held]
        if renumbered:
            self._take_over(renumbered)
        return starts

    def _ends(
        self, standing: Mapping[TopicPartitionKey, tuple[int | None, Offered]]
    ) -> dict[TopicPartitionKey, int]:
        """Return where each partition ends; a broker's answer that looks too low is checked."""
        doubtful = [
            key
            for key, (held, offer) in standing.items()
            if held is not None and held + 1 > offer.end
        ]
        told = {key: offer.end for key, (_, offer) in standing.items()}
        return {**told, **(self._true_ends(doubtful) if doubtful else {})}

    def _incarnation(
        self, key: TopicPartitionKey, topic_id: str, known: Mapping[TopicPartitionKey, Source]
    ) -> Source:
        if key in known and known[key].broker_topic_id == topic_id:
            return known[key]
        return Source(key[0], topic_id, key[1])

    def _start(
        self,
        source: Source,
        held: int | None,
        offer: Offered,
        entries: list[Entry],
        problems: list[str],
        notes: list[Entry],
    ) -> Start:
        if held is None:
            return Start(source, None, self._first_ever(source, offer, entries, problems, notes))
        following = held + 1
        if following < offer.low:
            missing = (following, offer.low - 1)
            if missing not in accepted_gaps(entries, source):
                problems.append(
                    f"{source}: the tables end at offset {held:,}, and Kafka begins at "
                    f"{offer.low:,}: the {offer.low - following:,} offsets in between have expired"
                )
                notes.append(self._journal.entry("gap_accepted", source, *missing, "expired"))
            return Start(source, held, offer.low)
        if following > offer.end:
            problems.append(
                f"{source}: the tables end at offset {held:,}, and Kafka ends before "
                f"{offer.end:,}: the topic was made again, or its end was lost"
            )
            renewed = source.next_incarnation()
            first = offer.low if source.broker_topic_id == NO_ID else offer.end
            notes.append(
                self._journal.entry(
                    "topic_recreated", renewed, first, None, f"stored {held}, end {offer.end}"
                )
            )
            return Start(renewed, None, first)
        return Start(source, held, following)

    def _first_ever(
        self,
        source: Source,
        offer: Offered,
        entries: list[Entry],
        problems: list[str],
        notes: list[Entry],
    ) -> int:
        """Begin where reading was to begin when the source was first seen, if Kafka still can."""
        seen = [
            entry.first_offset
            for entry in entries
            if entry.source == source
            and entry.kind != "gap_accepted"
            and entry.first_offset is not None
        ]
        if not seen or offer.low <= seen[0]:
            return seen[0] if seen and seen[0] <= offer.end else offer.low
        missing = (seen[0], offer.low - 1)
        if missing not in accepted_gaps(entries, source):
            problems.append(
                f"{source}: nothing is stored yet, reading was to begin at offset {seen[0]:,}, and "
                f"Kafka begins at {offer.low:,}: the {offer.low - seen[0]:,} offsets in between "
                "have expired"
            )
            notes.append(self._journal.entry("gap_accepted", source, *missing, "expired"))
        return offer.low


def _recreated(old: Source, held: int | None, offer: Offered) -> str:
    return (
        f"{old}: the topic was deleted and made again: the tables hold the old one (id "
        f"{old.topic_id}) up to offset {held:,}, the new one (id {offer.topic_id}) has offsets "
        f"{offer.low:,} up to {offer.end:,}"
    )
