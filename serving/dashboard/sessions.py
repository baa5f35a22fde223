"""Read-only sessions for the queries of the dashboard, opened anew when the lake has changed.

The views of a session are those of the tables that there were when it was opened, and its live
views look at bronze from where the last build had come. So there is a new session when a table is
added, and after a build when the old one is long open or holds much. It is opened in a thread of
its own, while the old one goes on answering, which it does as rightly; queries that run keep theirs
until they end. Nothing is opened while nobody asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from deltalake.exceptions import DeltaError

from ingest.errors import LakewardError
from lake.errors import MissingTableError, in_one_line
from lake.live import SCHEMA
from lake.read import LakeReader
from lake.tables import LAYERS, Lake
from serving.dashboard.versions import Versions

logger = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often it is looked whether the lake has changed."""
BUILT: Final = "gold.fct_metrics_1m"
"""A new version of it is a new build, from which live views look further."""
OLD_S: Final = 300.0
"""How long a session is kept at least after builds that only make it hold less, and"""
MUCH: Final = 1_000_000
"""rows that it may hold; above this it is renewed at the next build all the same."""


@dataclass(slots=True)
class _Opened:
    reader: LakeReader
    tables: frozenset[str]
    built: tuple[str, int] | None
    live: Mapping[str, str | None]
    """Its live views, and those that could not be made with the reason."""
    users: int = 0
    is_old: bool = False
    opened_at: float = field(default=0.0)
    looked_at: float = field(default=0.0)


class Sessions:
    """Hands out sessions; safe to use from several threads."""

    def __init__(
        self,
        lake: Lake,
        versions: Versions,
        open_reader: Callable[[], LakeReader],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet; ``open_reader`` opens a session on the whole lake or a tenant's."""
        self._lake = lake
        self._versions = versions
        self._open_reader = open_reader
        self._clock = clock
        self._opened: _Opened | None = None
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._running: set[LakeReader] = set()
        self._is_ended = False

    @contextmanager
    def lease(self, needed: Collection[str]) -> Iterator[LakeReader]:
        """Lend a session of one thread's own that has the ``needed`` tables, if they are there.

        Raises:
            LakePathError: there are no tables yet.
            QueryError: DuckDB cannot be started.
        """
        opened = self._current(needed)
        reader = opened.reader.beside()
        with self._lock:
            self._running.add(reader)
        try:
            yield reader
        finally:
            reader.close()
            with self._lock:
                self._running.discard(reader)
            self._give_back(opened)

    def why_not_live(self, view: str) -> str | None:
        """Return why ``live.<name>`` is not in the session of now, in words; None: it is.

        Raises:
            LakePathError: there are no tables yet.
            QueryError: DuckDB cannot be started.
        """
        opened = self._current(())
        self._give_back(opened)
        if view in opened.live:
            return opened.live[view]
        return opened.live.get(SCHEMA) or f"the lake has no view {view}; `lakeward build` makes it"

    def close(self) -> None:
        """Stop the queries that run, and end the session."""
        with self._lock:
            running, opened, self._opened = list(self._running), self._opened, None
            self._is_ended = True
        for reader in running:
            reader.interrupt()
        if opened is not None:
            self._retire(opened)

    def _current(self, needed: Collection[str]) -> _Opened:
        """Return the session to use, and count one user more of it."""
        with self._lock:
            known = self._opened
            lacks = known is None or not known.tables.issuperset(needed)
            is_due = known is not None and self._clock() - known.looked_at >= LOOK_S
        # One thread looks and opens; others go on with the one there is, if it will do.
        if lacks:
            with self._opening:
                self._renew(self._opened)
        elif is_due and self._opening.acquire(blocking=False):
            threading.Thread(
                target=self._renew_beside, name="dashboard-session", daemon=True
            ).start()
        with self._lock:
            if self._opened is None:
                raise MissingTableError("the dashboard is ending")
            self._opened.users += 1
            return self._opened

    def _renew_beside(self) -> None:
        known = self._opened
        try:
            self._renew(known)
        except (LakewardError, DeltaError, OSError) as error:
            logger.warning("session_not_renewed", extra={"reason": in_one_line(error)})
            if known is not None:
                known.looked_at = self._clock()
        finally:
            self._opening.release()

    def _renew(self, known: _Opened | None) -> None:
        tables = frozenset(
            f"{layer}.{name}" for layer in LAYERS for name in self._lake.names(layer)
        )
        built = self._built()
        if known is not None and known.tables == tables and not self._is_outdated(known, built):
            known.looked_at = self._clock()
            return
        began = self._clock()
        reader = self._open_reader()
        live = _live_views(reader) if reader.has_live else {}
        with self._lock:
            if not self._is_ended:
                self._opened = _Opened(
                    reader, tables, built, live, opened_at=began, looked_at=self._clock()
                )
        if self._is_ended:
            reader.close()
        if known is not None:
            self._retire(known)

    def _is_outdated(self, known: _Opened, built: tuple[str, int] | None) -> bool:
        """Tell whether a session is to be opened anew, of the tables that there are still."""
        if built == known.built:
            return False
        held = known.reader.held_rows
        if held is None or built is None or known.built is None or built[0] != known.built[0]:
            return True
        return held >= MUCH or self._clock() - known.opened_at >= OLD_S

    def _built(self) -> tuple[str, int] | None:
        try:
            found = self._versions.of(BUILT)
        except MissingTableError:
            return None
        return found.id, found.version

    def _give_back(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
            is_last = opened.is_old and opened.users == 0
        if is_last:
            opened.reader.close()

    def _retire(self, opened: _Opened) -> None:
        with self._lock:
            opened.is_old = True
            is_unused = opened.users == 0
        if is_unused:
            opened.reader.close()


def _live_views(reader: LakeReader) -> dict[str, str | None]:
    """Make the live views of a session; return their names, and why others could not be made."""
    names = f"select schema || '.' || name from (show all tables) where schema = '{SCHEMA}'"
    for _ in range(2):  # the first query that names the schema makes its views: that takes a while,
        reader.columns(names)  # and what came meanwhile is taken in by the next one
    made: dict[str, str | None] = {str(row[0]): None for row in reader.rows()}
    for gone in reader.left_out:
        if gone.layer == SCHEMA:
            made[SCHEMA if gone.name == SCHEMA else f"{SCHEMA}.{gone.name}"] = gone.reason
    return made
