"""Let dead letters go for good, so that the audit still comes out whole.

First the history says which letters are let go, each by its coordinates; then they are erased as
a tenant's rows are (``lake.erasure``, ADR 055), which disturbs no writer, and the audit counts them
as erased. A purge that dies in between is finished by the next one; until then the letters are
still there, and to whoever asks for letters they are gone already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from lake.dead_letters.history import Happening, note, purged_of
from lake.dead_letters.landing import is_among
from lake.dead_letters.reading import LetterReader
from lake.dead_letters.selection import Selection
from lake.erasure.offsets import ErasedOffsets
from lake.erasure.reach import Table
from lake.erasure.rewrite import TableErasure
from lake.schema import COORDINATES
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.source import Source
from lake.writer.taken import Offsets
from lake.writer.target import WRITER


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge came to."""

    run_id: str
    letters: int
    """Let go by this run."""
    unsettled: int
    """Left alone: the writer is about to take them up itself."""
    finished: int
    """Let go by an earlier run that died before it had deleted them."""


def purge(
    lake: Lake,
    selection: Selection,
    run_id: str,
    *,
    now: Callable[[], datetime],
    why: str = "",
    on_progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Purged:
    """Delete the letters that ``selection`` has, replayed or not, and note each in the history.

    May run beside the writer, replays and compaction, and be run again after a crash.

    Args:
        lake: which lake.
        selection: which letters.
        run_id: names this run in the history.
        now: stamps the history.
        why: is kept with each letter.
        on_progress: called with how many letters are deleted and how many will be.

    Raises:
        MissingTableError: no writer has run yet.
        ErasureError: others kept rewriting the table; the next purge finishes this one.
    """
    with LetterReader(lake) as reader:
        letters = reader.letters(selection)
    positions = _Positions(lake)
    chosen = [one for one in letters if one.offset <= positions.of(one.contract, one.source)]
    note(
        lake,
        (
            Happening(
                contract=one.contract,
                source=one.source,
                offset=one.offset,
                outcome="purged",
                happened_at=now(),
                run_id=run_id,
                reason=one.reason,
                detail=why or None,
            )
            for one in chosen
        ),
    )
    offsets = ErasedOffsets(lake)
    erasure = TableErasure(
        Table(lake, "bronze", DEAD_LETTERS, is_dev=False, has_offsets=True),
        LetGo(_by_source(purged_of(lake))),
        run_id,
    )
    gone, _, _ = erasure.run(
        lambda theirs: offsets.announce(run_id, DEAD_LETTERS, theirs),
        now,
        # with those of a purge that was cut off there may be more of them
        lambda done: on_progress(done, max(done, len(chosen))),
    )
    return Purged(
        run_id=run_id,
        letters=len(chosen),
        unsettled=len(letters) - len(chosen),
        finished=max(0, gone - len(chosen)),
    )


class LetGo:
    """The letters that the history calls purged (``lake.erasure.belonging.Doomed``)."""

    def __init__(self, offsets: Mapping[Source, Offsets]) -> None:
        self._offsets = offsets
        every = [np.zeros(0, np.int64), *offsets.values()]
        self._sorted = np.unique(np.concatenate(every))

    def __str__(self) -> str:
        return "purged letters"

    def may_hold(self, file: Mapping[str, Any], partition_columns: Sequence[str]) -> bool:  # noqa: ARG002
        """Tell by a file's least and greatest offset whether it needs to be read."""
        least, most = file.get("min._offset"), file.get("max._offset")
        if least is None or most is None:
            return len(self._sorted) > 0
        at = int(np.searchsorted(self._sorted, least))
        return at < len(self._sorted) and int(self._sorted[at]) <= most

    def columns(self, names: Iterable[str]) -> list[str]:  # noqa: ARG002
        """Return the coordinates."""
        return [field.name for field in COORDINATES[:4]]

    def mask(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return for each letter whether it was let go."""
        return pa.array(is_among(pa.table(rows), self._offsets))


class _Positions:
    """How far each source is settled."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._tables: dict[str, DeltaTable | None] = {}
        self._known: dict[tuple[str, Source], int] = {}

    def of(self, contract: str, source: Source) -> int:
        key = contract, source
        if key not in self._known:
            if contract not in self._tables:
                there = self._lake.exists("bronze", contract)
                self._tables[contract] = self._lake.open("bronze", contract) if there else None
            table = self._tables[contract]
            position = None
            if table is not None:
                writer = table.metadata().configuration.get(WRITER, "")
                position = table.transaction_version(source.app_id(writer, contract))
            self._known[key] = -1 if position is None else position
        return self._known[key]


def _by_source(letters: list[Happening]) -> dict[Source, Offsets]:
    found: dict[Source, list[int]] = {}
    for one in letters:
        found.setdefault(one.source, []).append(one.offset)
    return {source: np.unique(np.array(offsets, np.int64)) for source, offsets in found.items()}
