"""Answers to queries: cached by the versions of the tables that they read, each asked once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from deltalake.exceptions import DeltaError

from lake.errors import LakePathError, in_one_line
from serving.dashboard.errors import SlowQueryError
from serving.dashboard.sessions import Sessions
from serving.dashboard.versions import TableVersion, Versions

KEPT: Final = 512
"""Answers that are remembered; those of panels are bounded in rows by their SQL."""
LONGEST_S: Final = 30.0

Key = tuple[str, tuple[tuple[str, object], ...], tuple[tuple[str, int], ...]]


@dataclass(frozen=True, slots=True)
class Question:
    """A query, the values of its parameters, and the Delta tables that it reads."""

    sql: str
    parameters: Mapping[str, object]
    reads: Sequence[str]
    also: Sequence[str] = ()
    """Tables that it reads where they are there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and how new the tables were when they were read: as new, or newer."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    versions: tuple[TableVersion, ...]


class Answers:
    """Asks questions of the lake; safe to use from several threads."""

    def __init__(self, versions: Versions, sessions: Sessions) -> None:
        self._versions = versions
        self._sessions = sessions
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Future[Answer]] = OrderedDict()

    def versions(self, reads: Sequence[str], also: Sequence[str] = ()) -> tuple[TableVersion, ...]:
        """Return the newest versions of tables, and of those of ``also`` that are there.

        Raises:
            MissingTableError: one of ``reads`` is not there.
            LakePathError: there is no lake, or a table cannot be read.
        """
        try:
            found = [self._versions.of(table) for table in reads]
            there = [self._versions.of_if_there(table) for table in also]
            return (*found, *(one for one in there if one is not None))
        except (DeltaError, OSError) as error:
            raise LakePathError(f"a table cannot be read: {in_one_line(error)}") from error

    def why_not_live(self, view: str) -> str | None:
        """Return why a live view cannot be asked now, in words; None: it can.

        Raises:
            LakePathError: there is no lake.
        """
        return self._sessions.why_not_live(view)

    def ask(self, question: Question) -> Answer:
        """Return the answer for the newest versions; two who ask the same wait for one query.

        Raises:
            MissingTableError: a table is not there.
            LakePathError: there is no lake, or a table cannot be read.
            QueryError: the query fails.
            SlowQueryError: it took longer than ``LONGEST_S``.
        """
        versions = self.versions(question.reads, question.also)
        key = (
            question.sql,
            tuple(sorted(question.parameters.items())),
            tuple((one.id, one.version) for one in versions),
        )
        with self._lock:
            kept = self._kept.get(key)
            is_mine = kept is None
            if kept is None:
                kept = self._kept[key] = Future()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if is_mine:
            try:
                kept.set_result(self._query(question, versions))
            except BaseException as error:  # noqa: BLE001 - raised below, and in all who wait
                with self._lock:
                    self._kept.pop(key, None)  # a failure is not remembered
                kept.set_exception(error)
        return kept.result()

    def _query(self, question: Question, versions: tuple[TableVersion, ...]) -> Answer:
        late = threading.Event()
        with self._sessions.lease(question.reads) as reader:

            def end() -> None:
                late.set()
                reader.interrupt()

            timer = threading.Timer(LONGEST_S, end)
            timer.daemon = True
            timer.start()
            try:
                columns = reader.columns(question.sql, question.parameters)
                return Answer(tuple(columns), tuple(reader.rows()), versions)
            except Exception as error:
                if late.is_set():
                    raise SlowQueryError(
                        f"the query took longer than {LONGEST_S:g} s and was ended",
                        hint="Choose a shorter period.",
                    ) from error
                raise
            finally:
                timer.cancel()
