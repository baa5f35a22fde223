"""A lake in which some messages lack what is required, and what to do about them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from ingest.contracts.model import Contract
from ingest.contracts.registry import ContractSet
from lake.dead_letters.mending import Mending, parse_mending
from lake.dead_letters.outcome import Replayed
from lake.dead_letters.plan import ReplayPlan
from lake.dead_letters.purge import Purged, purge
from lake.dead_letters.replay import replay
from lake.dead_letters.selection import Selection
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source
from tests.lake.writer.bench import CONTRACT, P0, P1, Bench, batch, raw, visit
from tests.lake.writer.rig import CONTRACT_FILE

EACH = 10
SET_TIME: Mending = parse_mending(
    {"steps": [{"set": {"path": "$.at", "value": "2026-01-01T00:00:00Z"}}]}, "set_time"
)


AMOUNT = """\
      - name: amount
        logicalType: number
        physicalType: decimal(10, 2)
        description: Money.
"""


def write_contract(folder: Path) -> Path:
    """Write the contract of the letters, for commands; return the folder of contracts."""
    folder.mkdir()
    (folder / "visits.odcs.yaml").write_text(CONTRACT_FILE.format(topic="visits") + AMOUNT)
    return folder


class Clock:
    """Some time after the writer wrote; a second more at each look."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


def without_time(source: Source, offset: int, **more: Any) -> Message:
    """A visit that lacks its time."""
    payload = {"event_id": f"{source.partition}-{offset}", "tenant_id": "acme", **more}
    return raw(source, offset, json.dumps(payload).encode())


@dataclass
class Letterbox:
    """One lake with letters."""

    bench: Bench
    now: Clock = field(default_factory=Clock)
    runs: int = 0

    @classmethod
    def filled(cls, lake: Lake) -> Letterbox:
        """Even offsets are visits, odd ones letters; each partition has a tenant of its own."""
        bench = Bench(lake)
        sink = bench.sink()
        bench.take_over(sink, P0, P1)
        tenants = {P0: "acme", P1: "zeta"}
        messages = {
            source: [
                (without_time if o % 2 else visit)(source, o, tenant_id=tenant) for o in range(EACH)
            ]
            for source, tenant in tenants.items()
        }
        sink.write(batch((P0, None, messages[P0]), (P1, None, messages[P1])))
        return cls(bench)

    @property
    def lake(self) -> Lake:
        return self.bench.lake

    def replay(
        self,
        mending: Mending | None = SET_TIME,
        *,
        contract: Contract = CONTRACT,
        tenants: frozenset[str] | None = None,
        selection: Selection = Selection(),  # noqa: B008 - frozen
        **plan: Any,
    ) -> Replayed:
        """Replay once."""
        self.runs += 1
        return replay(
            self.lake,
            ContractSet((contract,)),
            tenants,
            ReplayPlan(selection, mending, **plan),
            f"run-{self.runs}",
            now=self.now,
        )

    def purge(self, selection: Selection = Selection(), **options: Any) -> Purged:  # noqa: B008 - frozen
        """Let letters go."""
        self.runs += 1
        return purge(self.lake, selection, f"run-{self.runs}", now=self.now, **options)

    def rows(self, name: str = CONTRACT.name) -> list[dict[str, Any]]:
        """Every row of a bronze table."""
        return self.lake.open("bronze", name).to_pyarrow_table().to_pylist()

    def offsets(self) -> Counter[tuple[int, int]]:
        """How often each partition and offset is a row."""
        return Counter((row["_partition"], row["_offset"]) for row in self.rows())

    def letters(self) -> int:
        """How many dead letters there are."""
        return len(self.rows(DEAD_LETTERS))

    def assert_whole(self, *, dead: int = 0) -> None:
        """All messages are rows once, but for ``dead`` of them; the audit says so, too."""
        assert set(self.offsets().values()) == {1}
        assert len(self.offsets()) == 2 * EACH - dead
        report = self.bench.audit()
        assert report.is_clean, report.findings
        assert report.messages == 2 * EACH == report.rows + report.dead
        assert report.dead == dead
        assert report.replayed == EACH - dead
