"""What the commit of a replay says of itself: which letters its rows came from, and how mended.

It stands in the bronze table's own log, in the very commit that brought the rows, so that it is
true whenever they are there. Each names the replay before it, so that all of them are found from
the newest, without reading the commits between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deltalake import DeltaTable

from lake.delta_log import read_commit_infos
from lake.errors import LakeError
from lake.writer.commit import METADATA_KEY
from lake.writer.source import Source

REPLAY: Final = "lakeward:replay"
"""Transaction id of a bronze table: the version of the last commit that was a replay."""

Span = tuple[int, int]
"""Offsets in a row, both ends inclusive."""


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """One commit of a replay."""

    version: int
    """The bronze table's."""
    previous: int | None
    """The version of the replay before it."""
    run_id: str
    committed_at: datetime
    contract_version: str
    mending: str | None
    """The steps that mended the letters, as JSON; None: they are as Kafka had them."""
    letters: Mapping[Source, tuple[Span, ...]]

    def as_members(self) -> dict[str, Any]:
        """Return what the commit info says beside the writer's name and the time."""
        return {
            "partitions": [],  # it moves no position
            "replay": {
                "previous": self.previous,
                "run": self.run_id,
                "contract_version": self.contract_version,
                "mending": self.mending,
                "letters": [
                    {
                        "topic": source.topic,
                        "topic_id": source.topic_id,
                        "partition": source.partition,
                        "offsets": [list(span) for span in spans],
                    }
                    for source, spans in sorted(self.letters.items())
                ],
            },
        }

    def offsets(self) -> Iterator[tuple[Source, int]]:
        """Yield the coordinates of each letter."""
        for source, spans in self.letters.items():
            for first, last in spans:
                for offset in range(first, last + 1):
                    yield source, offset


def spans_of(offsets: Iterable[int]) -> tuple[Span, ...]:
    """Return offsets as spans, ascending."""
    found: list[Span] = []
    for offset in sorted(set(offsets)):
        if found and offset == found[-1][1] + 1:
            found[-1] = found[-1][0], offset
        else:
            found.append((offset, offset))
    return tuple(found)


def replays_since(
    table: DeltaTable, after: int | None, storage_options: dict[str, str] | None
) -> Sequence[ReplayRecord]:
    """Return the replays among the commits of a bronze table, oldest first.

    Args:
        table: the bronze table, at the version up to which to look.
        after: leave out this version and what came before it; None: leave out nothing.
        storage_options: of the lake.

    Raises:
        LakeError: the log no longer has one of them.
    """
    found: list[ReplayRecord] = []
    version = table.transaction_version(REPLAY)
    while version is not None and (after is None or version > after):
        infos = read_commit_infos(table, version - 1, storage_options, version)
        record = _parse(version, infos[0][1]) if infos else None
        if record is None:
            raise LakeError(
                f"{table.table_uri}: version {version} replayed dead letters, and the log no "
                "longer says which",
                hint="Was the log cleaned by another program? `lakeward maintain` keeps what it "
                "says in ops.dead_letter_history first.",
            )
        found.append(record)
        version = record.previous
    return found[::-1]


def _parse(version: int, info: Mapping[str, Any]) -> ReplayRecord | None:
    document = json.loads(info.get(METADATA_KEY, "{}"))
    replay = document.get("replay")
    if replay is None:
        return None
    return ReplayRecord(
        version=version,
        previous=replay["previous"],
        run_id=replay["run"],
        committed_at=datetime.fromisoformat(document["committed_at"]),
        contract_version=replay["contract_version"],
        mending=replay["mending"],
        letters={
            Source(part["topic"], part["topic_id"], part["partition"]): tuple(
                (first, last) for first, last in part["offsets"]
            )
            for part in replay["letters"]
        },
    )
