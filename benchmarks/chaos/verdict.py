"""Hold the lake against Kafka and the ledger, message by message, by Kafka coordinates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from benchmarks.chaos.ledger import Coordinates, Ledger
from lake.tables import DEAD_LETTERS, Lake

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ledger, Kafka and the lake say of each other."""

    acknowledged: int
    """Messages, events and poison, that Kafka had taken."""
    in_kafka: int
    """Messages that Kafka holds in the end."""
    rows: int
    dead: int
    lost: tuple[str, ...]
    """Acknowledged and not in Kafka, or in Kafka and not in the lake."""
    twice: tuple[str, ...]
    """In the lake more than once."""
    strange: tuple[str, ...]
    """In the lake, and not in Kafka, or another message there; or never sent."""
    resent: tuple[str, ...]
    """Events that Kafka holds at several offsets, because a producer sent them again; the lake has
    to hold each offset once, and the models above it tell events by their id."""
    surfaced: int
    """Events without an acknowledgement that were in Kafka all the same."""

    @property
    def is_exactly_once(self) -> bool:
        """True when nothing is lost, twice or strange."""
        return not (self.lost or self.twice or self.strange)

    def __str__(self) -> str:
        told = f"{len(self.lost)} lost, {len(self.twice)} twice, {len(self.strange)} strange"
        examples = [*self.lost[:EXAMPLES], *self.twice[:EXAMPLES], *self.strange[:EXAMPLES]]
        return f"{told}{': ' if examples else ''}{', '.join(examples)}"


def judge(
    lake: Lake, table: str, kafka: Mapping[Coordinates, str | None], ledger: Ledger
) -> Verdict:
    """Read both tables and compare; ``kafka`` is the event at each offset, None for poison."""
    rows = _read(lake, table, ["event_id", "_partition", "_offset"])
    dead = _read(lake, DEAD_LETTERS, ["_partition", "_offset"])
    held: list[tuple[Coordinates, str | None]] = [
        *zip(_places(rows), rows["event_id"].to_pylist(), strict=True),
        *((at, None) for at in _places(dead)),
    ]
    times = Counter(at for at, _ in held)
    acknowledged = {**{at: i for i, at in ledger.events.items()}, **dict.fromkeys(ledger.poison)}
    lost = [
        f"{_named(i)} acknowledged at {at}, not in Kafka"
        for at, i in acknowledged.items()
        if at not in kafka
    ]
    in_kafka = Counter(kafka.values())
    lost += [f"{i} acknowledged, not in Kafka" for i in ledger.somewhere if i not in in_kafka]
    missing = len(ledger.poison) + ledger.poison_somewhere - in_kafka.pop(None, 0)
    lost += ["poison acknowledged, not in Kafka"] * missing
    lost += [f"{_named(i)} at {at}" for at, i in kafka.items() if at not in times]
    strange = [
        f"{_named(i)} at {at}, where Kafka has {_named(kafka[at]) if at in kafka else 'nothing'}"
        for at, i in held
        if at not in kafka or kafka[at] != i
    ]
    strange += [
        f"{_named(i)} acknowledged at {at}, where Kafka has {_named(kafka[at])}"
        for at, i in acknowledged.items()
        if at in kafka and kafka[at] != i
    ]
    events = {i: n for i, n in in_kafka.items() if i is not None}
    strange += [f"{i} never sent" for i in events if i not in ledger.sent]
    return Verdict(
        acknowledged=len(ledger.events)
        + len(ledger.somewhere)
        + len(ledger.poison)
        + ledger.poison_somewhere,
        in_kafka=len(kafka),
        rows=rows.num_rows,
        dead=dead.num_rows,
        lost=tuple(lost),
        twice=tuple(f"{at} {n} times" for at, n in times.items() if n > 1),
        strange=tuple(strange),
        resent=tuple(i for i, n in events.items() if n > 1),
        surfaced=len(events.keys() & ledger.unanswered),
    )


def _named(event_id: str | None) -> str:
    return "poison" if event_id is None else event_id


def _places(rows: pa.Table) -> list[Coordinates]:
    return list(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))


def _read(lake: Lake, table: str, columns: list[str]) -> pa.Table:
    return pa.table(lake.open("bronze", table).scan(columns=columns).read_all())
