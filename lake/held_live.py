"""The live views of a session that is asked again and again: over a tail that it holds.

The views of the marts read the schema ``held`` in place of what they would work out anew in each
query; those by the minute keep the rows of minutes too (``lake/held_windows.py``). Where that is
too much, or fails, the session goes on with the views as the catalog has them, which give the same
answers.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import duckdb
from deltalake.exceptions import DeltaError

from lake.errors import LakeError, in_one_line
from lake.held_tail import HELD, MOST_BUILT, MOST_NEW, Held, HeldTail, NotHeldError
from lake.held_visits import HeldVisits
from lake.held_windows import CAME, MINUTES, HeldWindows
from lake.live import SCHEMA, LiveCut, LiveView, mart_view, read_by
from lake.live_texts import LiveText
from lake.tables import Lake

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class HeldLive:
    """Tails and views of one session; safe to use from several threads."""

    lake: Lake
    cursor: duckdb.DuckDBPyConnection
    """One of its own, in the session's database, where ``live`` has its views already."""
    cut: LiveCut
    _tails: list[HeldTail] = field(default_factory=list, init=False)
    _windows: HeldWindows | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _closing: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held while rows of minutes are worked out beside the queries."""
    _closer: duckdb.DuckDBPyConnection = field(init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._closer = self.cursor.cursor()

    @property
    def rows(self) -> int | None:
        """How many rows came since the build, of all tables; None when none are held."""
        return sum(tail.rows for tail in self._tails) if self._tails else None

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
            if self._ended:
                return
            try:
                came = [(tail, tail.came()) for tail in self._tails]
                if any(files is None for _, files in came):
                    self._in_one(self._begin_tails)
                elif any(files for _, files in came):
                    self._in_one(lambda: self._take([(t, files) for t, files in came if files]))
                    self._close_quiet()
            except _FAILURES as error:
                self._let_go(error)

    def close(self) -> None:
        """Forget what is held; a query that runs ends first."""
        self._ended = True
        if self._closing.locked():
            self._closer.interrupt()
        with self._closing, self._lock:
            self._closer.close()
            self.cursor.close()

    def _begin(self) -> None:
        self.cursor.execute(f"create schema if not exists {HELD}")
        marts = self.cut.marts()
        contracts = {c for mart in marts for c in read_by(mart, self.cut.texts)}
        words = frozenset(word for mart in marts for word in re.findall(r"\w+", mart.sql))
        for contract in sorted(contracts):
            if not self.lake.exists("bronze", contract):  # then the views have no rows either
                for what, of in (("new",) * 2, ("minutes",) * 2, ("needed",) * 2, ("open", "new")):
                    self.cursor.execute(
                        f"create table {HELD}.{what}_{contract} as from {SCHEMA}.{of}_{contract}"
                    )
                continue
            held = self._held(contract, words)
            self._tails.append(HeldTail(self.lake, self.cursor, held, MOST_NEW, MOST_BUILT))
        self._in_one(self._begin_tails)
        self._make_views(HELD)

    def _begin_tails(self) -> None:
        """Hold all that came since the bound, and nothing else."""
        self.cursor.execute(
            f"create or replace table {MINUTES} "
            "(tenant_id varchar, event_date date, minute timestamptz)"
        )
        files = [(tail, tail.begin()) for tail in self._tails]
        self._windows = self._begin_windows()
        self._take(files)

    def _begin_windows(self) -> HeldWindows | None:
        there = {mart.name for mart in self.cut.marts()}
        rows = {name: text.sql for name, text in self.cut.of("rows").items() if name in there}
        if not rows:
            return None
        firsts = [(name.removeprefix("stg_"), t.sql) for name, t in self.cut.of("firsts").items()]
        visits = [
            HeldVisits(self.cursor, contract, sql)
            for contract, sql in firsts
            if any(tail.of.contract == contract for tail in self._tails)
        ]
        if firsts and not visits:  # without an event nothing begins a visit, and all is little
            return None
        windows = HeldWindows(self.cursor, rows, self._tails, next(iter(visits), None))
        windows.begin()
        return windows

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
        self.cursor.execute(f"create or replace table {CAME} as {' union '.join(minutes)}")
        unknown = f"{HELD}.unknown_minutes"
        self.cursor.execute(
            f"create or replace table {unknown} as from {CAME} "
            f"anti join {MINUTES} using (tenant_id, event_date, minute)"
        )
        self.cursor.execute(f"insert into {MINUTES} by name from {unknown}")
        days = self.cursor.execute(f"select distinct tenant_id, event_date from {unknown}")
        found = set(days.fetchall())
        span = self.cursor.execute(f"select min(minute), max(minute) from {unknown}").fetchone()
        if found and span is not None:
            for tail in self._tails:
                built = tail.add_days(found)
                if built is not None and self._windows is not None:
                    self._windows.add_days(tail, built)
                tail.add_near(unknown, *span)
        for tail, _ in came:
            tail.add_events()
        if self._windows is None:
            return
        if all(tail.holds_built for tail in self._tails):
            self._windows.take([tail for tail, _ in came])
        else:
            self._windows = None
            self._make_views(HELD)

    def _close_quiet(self) -> None:
        """Close quiet minutes beside the queries, where it is worth it and nobody does it yet."""
        if self._windows is None or self._closing.locked() or not self._windows.is_worth_closing():
            return
        self._closing.acquire()
        work = threading.Thread(target=self._close, args=[self._windows], daemon=True)
        work.start()

    def _close(self, windows: HeldWindows) -> None:
        try:
            try:
                if not self._ended:
                    windows.work_out(self._closer)
            finally:
                self._closing.release()
            with self._lock:
                if not self._ended and self._windows is windows:
                    self._in_one(windows.close)
        except (duckdb.Error, RuntimeError) as error:  # interrupted, or too large: they stay open
            logger.info("minutes of live views stay open", extra={"reason": in_one_line(error)})

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
        events = self.cut.of("events")[name]
        return Held(
            contract=contract,
            key=events.key,
            bound=self.cut.bounds[name].moment,
            version=self.cut.bounds[name].version,
            events=events.sql,
            minutes=self.cut.of("minutes")[name].sql,
            wanted=words,
        )

    def _make_views(self, held: str | None) -> None:
        """Make the views of the marts anew, of those that could be made before."""
        found = self.cursor.execute(
            "select view_name from duckdb_views() where schema_name = ?", [SCHEMA]
        )
        there = {name for (name,) in found.fetchall()}
        for mart in self.cut.marts():
            view = self._view(mart, held)
            if view.name in there:
                self.cursor.execute(view.create())

    def _view(self, mart: LiveText, held: str | None) -> LiveView:
        view = mart_view(self.cut, mart, held)
        if held is None or self._windows is None or mart.name not in self._windows.marts:
            return view
        return replace(view, sql=self._windows.view(mart.name))

    def _let_go(self, error: Exception) -> None:
        if isinstance(error, NotHeldError):
            logger.info("live views without a held tail", extra={"reason": str(error)})
        else:
            reason = in_one_line(error)
            logger.warning("live views without a held tail", extra={"reason": reason})
        self._tails.clear()
        self._windows = None
        self._make_views(None)
        if self._closing.locked():
            self._closer.interrupt()
        with self._closing:
            self.cursor.execute(f"drop schema if exists {HELD} cascade")


_FAILURES = (NotHeldError, DeltaError, LakeError, OSError, duckdb.Error)
