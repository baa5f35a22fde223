"""Answers for the pages, from a bounded number of threads: the event loop never waits for SQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

from ingest.errors import LakewardError
from lake.errors import QueryError
from serving.dashboard.answers import Answer, Answers, Question
from serving.dashboard.errors import BusyError
from serving.dashboard.filters import Filters, Period
from serving.dashboard.mart import Mart
from serving.dashboard.page import Page
from serving.dashboard.panel import Panel
from serving.dashboard.versions import TableVersion

logger = logging.getLogger(__name__)

THREADS: Final = 4
WAITING: Final = 64
"""Requests that may wait for a thread; more are told to come again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a panel's answer depends on besides its filters."""

    versions: tuple[TableVersion, ...]
    note: str | None
    """Why the live view is left for the last build; None: it is asked, or there is none."""


@dataclass(frozen=True, slots=True)
class PanelAnswer:
    """The rows of a panel, and the days they are of."""

    answer: Answer
    period: Period
    note: str | None
    """As in ``Standing``; another one than there when the live view failed just now."""


class Desk:
    """Turns what a page asks into questions of the lake."""

    def __init__(self, answers: Answers, *, has_live: bool, today: Callable[[], date]) -> None:
        self._answers = answers
        self._has_live = has_live
        self._today = today
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dashboard")
        self._pending = 0

    async def panel(self, page: Page, panel: Panel, filters: Filters) -> PanelAnswer:
        """Return a panel's rows.

        Raises:
            LakewardError: in words for the reader of the page.
        """
        return await self._in_a_thread(lambda: self._panel(page, panel, filters))

    async def standing(self, page: Page, panel: Panel) -> Standing:
        """Return what a panel's answer would depend on now."""
        return await self._in_a_thread(lambda: self._standing(page, panel))

    async def options(self, page: Page, filters: Filters) -> dict[str, list[str]]:
        """Return the values that each filter of a page offers; none where there is no table."""
        return await self._in_a_thread(lambda: self._options(page, filters))

    async def period(self, page: Page, filters: Filters) -> Period:
        """Return the days that a page shows."""
        return await self._in_a_thread(lambda: self._period(page, filters))

    async def freshness(self) -> Answer:
        """Return the newest event and the newest commit that gold knows, UTC."""
        return await self._in_a_thread(lambda: self._answers.ask(FRESHNESS))

    def close(self) -> None:
        """Take no more questions."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_a_thread(self, work: Callable[[], T]) -> T:
        if self._pending >= THREADS + WAITING:
            raise BusyError("too many queries wait", hint="Ask again in a moment.")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._pending -= 1

    def _panel(self, page: Page, panel: Panel, filters: Filters) -> PanelAnswer:
        period = self._period(page, filters)
        is_live, note = self._basis(panel.mart)
        question = panel.question(filters, period, is_live=is_live)
        try:
            return PanelAnswer(self._answers.ask(question), period, note)
        except QueryError as error:
            if not is_live:
                raise
            logger.warning("live_view_failed", extra={"panel": panel.name, "error": error.message})
            note = f"{panel.mart.name} cannot be read now: {error.message}"
        question = panel.question(filters, period, is_live=False)
        return PanelAnswer(self._answers.ask(question), period, note)

    def _standing(self, page: Page, panel: Panel) -> Standing:
        is_live, note = self._basis(panel.mart)
        reads = (panel.mart.reads, *panel.also_reads, page.newest[0])
        also = panel.mart.also_reads(is_live=is_live)
        return Standing(self._answers.versions(reads, also), note)

    def _basis(self, mart: Mart) -> tuple[bool, str | None]:
        """Tell whether to ask the live view of a mart, and why not where one would expect it."""
        if not (mart.has_view and self._has_live):
            return False, None
        why = self._answers.why_not_live(mart.name)
        return why is None, why

    def _period(self, page: Page, filters: Filters) -> Period:
        newest: Any = self._answers.ask(page.newest_day()).rows[0][0]
        return filters.period(newest or self._today())

    def _options(self, page: Page, filters: Filters) -> dict[str, list[str]]:
        tenant = dict(filters.picked).get("tenant")
        found: dict[str, list[str]] = {}
        for one in page.options:
            question = one.question(None if one.name == "tenant" else tenant)
            try:
                rows = self._answers.ask(question).rows
            except LakewardError:  # the panels of the same table say what is wrong with it
                rows = ()
            found[one.name] = [str(row[0]) for row in rows]
        return found


FRESHNESS: Final = Question(
    "select max(newest_event_at) as newest_event_at, max(newest_committed_at) "
    "as newest_committed_at from gold.rpt_freshness",
    {},
    ("gold.rpt_freshness",),
)
