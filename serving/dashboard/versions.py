"""Which version of a Delta table is the newest: what an answer is cached by, and its freshness."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from lake.as_of import commit_time
from lake.errors import MissingTableError
from lake.inventory import require_tables
from lake.tables import Lake, Layer

FRESH_S: Final = 1.0
"""A version that was looked up so recently is taken for the newest."""


@dataclass(frozen=True, slots=True)
class TableVersion:
    """The newest version of a table."""

    table: str
    """As ``<layer>.<name>``."""
    id: str
    """Of the table; one that was deleted and made anew has another."""
    version: int
    committed_at: datetime | None
    """UTC; None when its log does not say."""


class Versions:
    """Looks versions up, at most once a second each; safe to use from several threads."""

    def __init__(self, lake: Lake, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, TableVersion]] = {}

    def of(self, table: str) -> TableVersion:
        """Return the newest version of ``<layer>.<name>``.

        Raises:
            MissingTableError: there is no such table yet.
            LakePathError: there is no table at all.
            DeltaError, OSError: it cannot be read.
        """
        now = self._clock()
        with self._lock:
            known = self._known.get(table)
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        found = self._look_up(table)
        with self._lock:
            self._known[table] = (now, found)
        return found

    def of_if_there(self, table: str) -> TableVersion | None:
        """Return the newest version of a table; None when there is none.

        Raises:
            LakePathError: there is no lake.
            DeltaError, OSError: it cannot be read.
        """
        try:
            return self.of(table)
        except MissingTableError:
            return None

    def _look_up(self, table: str) -> TableVersion:
        layer, _, name = table.partition(".")
        if not self._lake.exists(cast("Layer", layer), name):
            require_tables(self._lake)
            made_by = "`lakeward check`" if layer == "ops" else "`lakeward build`"
            if layer == "bronze":
                made_by = "`lakeward write`"
            raise MissingTableError(
                f"the table {table} is not there yet", hint=f"{made_by} makes it."
            )
        opened = self._lake.open(cast("Layer", layer), name)
        last = opened.history(1)
        moment = last[0].get("timestamp") if last else None
        return TableVersion(
            table,
            str(opened.metadata().id),
            opened.version(),
            None if moment is None else commit_time(moment),
        )
