"""The live views of a session that is asked again and again: over a tail that it holds.

The views of the marts read the schema ``held`` in place of what they would work out anew in each
query. Where that is too much, or fails, the session goes on with the views as the catalog has them,
which give the same answers.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb
from deltalake.exceptions import DeltaError

from lake.errors import LakeError, in_one_line
from lake.held_tail import HELD, MOST_BUILT, MOST_NEW, Held, HeldTail, NotHeldError
from lake.live import SCHEMA, LiveCut, mart_view, read_by
from lake.tables import Lake

logger = logging.getLogger(__name__)

_MINUTES: Final = f"{HELD}.minutes"
"""The minutes that something came for, of all tables."""
_CAME: Final = f"{HELD}.came_minutes"


@dataclass(slots=True)
class HeldLive:
    """Tails and views of one session; safe to use from several threads."""

    lake: Lake
    cursor: duckdb.DuckDBPyConnection
    """One of its own, in the session's database, where ``live`` has its views already."""
    cut: LiveCut
    _tails: list[HeldTail] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def begin(self) -> None:
        """Hold what came up to now, and make the views of the marts read it."""
        with self._lock:
            try:
                self._begin()
            except _FAILURES as error:
                self._let_go(error)

    def catch_up(self) -> None:
        """Hold what came since; to be called before each query of a live view."""
        with self._lock:
            try:
                came = [(tail, tail.came()) for tail in self._tails]
                if any(files is None for _, files in came):
                    self._in_one(self._begin_tails)
                elif any(files for _, files in came):
                    self._in_one(lambda: self._take([(t, files) for t, files in came if files]))
            except _FAILURES as error:
                self._let_go(error)

    def close(self) -> None:
        """Forget what is held."""
        self.cursor.close()

    def _begin(self) -> None:
        self.cursor.execute(f"create schema if not exists {HELD}")
        marts = self.cut.marts()
        contracts = {c for mart in marts for c in read_by(mart, self.cut.texts)}
        words = frozenset(word for mart in marts for word in re.findall(r"\w+", mart.sql))
        for contract in sorted(contracts):
            if not self.lake.exists("bronze", contract):  # then the views have no rows either
                for what in ("new", "minutes", "needed"):
                    name = f"{what}_{contract}"
                    self.cursor.execute(f"create table {HELD}.{name} as from {SCHEMA}.{name}")
                continue
            held = self._held(contract, words)
            self._tails.append(HeldTail(self.lake, self.cursor, held, MOST_NEW, MOST_BUILT))
        self._in_one(self._begin_tails)
        self._make_views(HELD)

    def _begin_tails(self) -> None:
        """Hold all that came since the bound, and nothing else."""
        self.cursor.execute(
            f"create or replace table {_MINUTES} "
            "(tenant_id varchar, event_date date, minute timestamptz)"
        )
        self._take([(tail, tail.begin()) for tail in self._tails])

    def _take(self, came: Sequence[tuple[HeldTail, list[str]]]) -> None:
        """Add the rows of some files.

        A minute is one for all tables: a window that an event of one of them falls in is worked
        out from the events of all.
        """
        minutes = []
        for tail, files in came:
            tail.read(files)
            minutes.append(f"from {tail.add_minutes()}")
        if not minutes:
            return
        self.cursor.execute(
            f"create or replace table {_CAME} as from ({' union '.join(minutes)}) "
            f"anti join {_MINUTES} using (tenant_id, event_date, minute)"
        )
        self.cursor.execute(f"insert into {_MINUTES} by name from {_CAME}")
        days = self.cursor.execute(f"select distinct tenant_id, event_date from {_CAME}")
        found = set(days.fetchall())
        span = self.cursor.execute(f"select min(minute), max(minute) from {_CAME}").fetchone()
        if found and span is not None:
            for tail in self._tails:
                tail.add_days(found)
                tail.add_near(_CAME, *span)
        for tail, _ in came:
            tail.add_events()

    def _in_one(self, work: Callable[[], None]) -> None:
        """Do it in one transaction: a query sees all of it or nothing."""
        self.cursor.execute("begin")
        try:
            work()
        except BaseException:
            self.cursor.execute("rollback")
            raise
        self.cursor.execute("commit")

    def _held(self, contract: str, words: frozenset[str]) -> Held:
        name = f"stg_{contract}"
        firsts = self.cut.of("firsts").get(name)
        events = self.cut.of("events")[name]
        return Held(
            contract=contract,
            key=events.key,
            bound=self.cut.bounds[name].moment,
            version=self.cut.bounds[name].version,
            events=events.sql,
            minutes=self.cut.of("minutes")[name].sql,
            firsts=None if firsts is None else firsts.sql,
            wanted=words,
        )

    def _make_views(self, held: str | None) -> None:
        """Make the views of the marts anew, of those that could be made before."""
        found = self.cursor.execute(
            "select view_name from duckdb_views() where schema_name = ?", [SCHEMA]
        )
        there = {name for (name,) in found.fetchall()}
        for mart in self.cut.marts():
            view = mart_view(self.cut, mart, held)
            if view.name in there:
                self.cursor.execute(view.create())

    def _let_go(self, error: Exception) -> None:
        if isinstance(error, NotHeldError):
            logger.info("live views without a held tail", extra={"reason": str(error)})
        else:
            reason = in_one_line(error)
            logger.warning("live views without a held tail", extra={"reason": reason})
        self._tails.clear()
        self._make_views(None)
        self.cursor.execute(f"drop schema if exists {HELD} cascade")


_FAILURES = (NotHeldError, DeltaError, LakeError, OSError, duckdb.Error)
