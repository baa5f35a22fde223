"""Hold the lake against the ledger, row by row, by Kafka coordinates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from benchmarks.chaos.ledger import Ledger
from lake.tables import DEAD_LETTERS, Lake

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ledger and the lake say of each other."""

    acknowledged: int
    """Messages, events and poison, that Kafka had taken."""
    rows: int
    dead: int
    lost: tuple[str, ...]
    """Acknowledged, and not in the lake at their coordinates."""
    twice: tuple[str, ...]
    """In the lake more than once, by coordinates or by id."""
    strange: tuple[str, ...]
    """In the lake, and never sent, or not where the broker said."""
    surfaced: int
    """Messages without an acknowledgement that were in Kafka all the same, each once."""

    @property
    def is_exactly_once(self) -> bool:
        """True when nothing is lost, twice or strange."""
        return not (self.lost or self.twice or self.strange)

    def __str__(self) -> str:
        told = f"{len(self.lost)} lost, {len(self.twice)} twice, {len(self.strange)} strange"
        examples = [*self.lost[:EXAMPLES], *self.twice[:EXAMPLES], *self.strange[:EXAMPLES]]
        return f"{told}{': ' if examples else ''}{', '.join(examples)}"


def judge(lake: Lake, table: str, ledger: Ledger) -> Verdict:
    """Read both tables and compare."""
    rows = _read(lake, table, ["event_id", "_partition", "_offset"])
    dead = _read(lake, DEAD_LETTERS, ["_partition", "_offset"])
    where = list(zip(rows["_partition"].to_pylist(), rows["_offset"].to_pylist(), strict=True))
    ids = rows["event_id"].to_pylist()
    buried = list(zip(dead["_partition"].to_pylist(), dead["_offset"].to_pylist(), strict=True))
    found = dict(zip(ids, where, strict=True))
    places = Counter(where) + Counter(buried)
    lost = [i for i, at in ledger.events.items() if found.get(i) is None]
    lost += [f"poison at {at}" for at in ledger.poison - set(buried)]
    twice = [f"offset {at} {n} times" for at, n in places.items() if n > 1]
    twice += [f"{i} {n} times" for i, n in Counter(ids).items() if n > 1]
    strange = [i for i in found if i not in ledger.sent]
    strange += [
        f"{i} at {found[i]}, acknowledged at {at}"
        for i, at in ledger.events.items()
        if i in found and found[i] != at
    ]
    return Verdict(
        acknowledged=len(ledger.events) + len(ledger.poison),
        rows=len(ids),
        dead=len(buried),
        lost=tuple(lost),
        twice=tuple(twice),
        strange=tuple(strange),
        surfaced=len(found.keys() & ledger.unanswered),
    )


def _read(lake: Lake, table: str, columns: list[str]) -> pa.Table:
    return pa.table(lake.open("bronze", table).scan(columns=columns).read_all())
