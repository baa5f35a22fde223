"""Superset in a real browser, used as a person uses it: what does not come is asked for again.

One lost click or answer must not end a test, and one that goes wrong must tell what was seen: a
step has a short time, is done again from the start, and its tries have a bound.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.chromium import chromium_page
from tests.serving.superset.live import RunningSuperset

LOGIN_S: Final = 30.0
DRAWING_S: Final = 90.0
"""Time of a step of one try; to draw a dashboard takes about ten seconds on an idle machine."""
PATIENCE_S: Final = 270.0
"""No try of a thing begins later."""
LOADING: Final = "[data-test='loading-indicator']"
CHART: Final = re.compile(r"/(?:chart/data|explore_json/)\?.*slice_id%22%3A(\d+)")
"""The address at which the page asks for the data of a chart."""
CODE: Final = "/static/assets/"
LOG_LINES: Final = 40


class SupersetBrowser:
    """A browser that has Superset open."""

    def __init__(self, page: Any, superset: RunningSuperset) -> None:
        """Take an open page, and listen to what it asks for."""
        self.page = page
        self._superset = superset
        self.failed: list[str] = []
        """Each answer of Superset that was an error, with its status."""
        self.lost: list[str] = []
        """Why tries were given up."""
        self._asked: dict[Any, str] = {}
        self._charts: set[str] = set()
        """Whose data have come since a dashboard was opened."""
        page.on("response", self._note_error)
        page.on("request", lambda one: self._asked.update({one: f"{one.method} {one.url}"}))
        page.on("requestfinished", self._note_end)
        page.on("requestfailed", lambda one: self._asked.pop(one, None))

    def log_in(self, name: str, password: str) -> None:
        """Log in by the form."""

        def fill_in() -> None:
            self.page.goto(f"{self._superset.url}/login/", wait_until="domcontentloaded")
            if "/login" not in self.page.url:
                return  # the try before did it, and its answer came late
            self.page.locator("input#username").fill(name)
            self.page.locator("input#password").fill(password)
            self.page.locator("button[type=submit]").first.click()
            self.page.wait_for_url(lambda there: "/login" not in there, wait_until="commit")

        self._until_done(fill_in, LOGIN_S)

    def open_dashboard(
        self, slug: str, titles: Sequence[str], says: Mapping[str, str] | None = None
    ) -> None:
        """Open a dashboard so large that every chart is drawn, and wait until these are.

        Args:
            slug: the end of its address.
            titles: of its charts, or of some.
            says: what the charts of these titles have to say.
        """
        self.page.set_viewport_size({"width": 1440, "height": 3600})

        def look() -> None:
            self._asked.clear()
            self._charts.clear()
            address = f"{self._superset.url}/superset/dashboard/{slug}/"
            self.page.goto(address, wait_until="domcontentloaded")
            for title in titles:
                self.box(title).wait_for()
            deadline = time.monotonic() + DRAWING_S
            while not self._is_drawn(len(titles)):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{slug}: some charts are not drawn after {DRAWING_S:.0f} s")
                self.page.wait_for_timeout(500)
            for title, text in (says or {}).items():
                self.box(title).get_by_text(text).first.wait_for()

        self._until_done(look, DRAWING_S)

    def _is_drawn(self, charts: int) -> bool:
        """True when the data of so many charts are there, and the code that draws them."""
        return (
            len(self._charts) >= charts
            and not any(CODE in one for one in self._asked.values())
            and self.page.locator(LOADING).count() == 0
        )

    def box(self, title: str) -> Any:
        """Return the box of a chart."""
        return self.page.locator(".chart-slice", has_text=title).first

    def _until_done(self, act: Callable[[], None], step_s: float) -> None:
        from playwright.sync_api import Error

        self.page.set_default_timeout(step_s * 1000)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return act()
            except (Error, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise
                self.lost.append(f"{error}".partition("\n")[0])
                time.sleep(1)

    def _note_error(self, answer: Any) -> None:
        if answer.status >= 400 and answer.url.startswith(self._superset.url):
            self.failed.append(f"{answer.status} {answer.url}")

    def _note_end(self, request: Any) -> None:
        self._asked.pop(request, None)
        if chart := CHART.search(request.url):
            self._charts.add(chart[1])

    def told(self) -> str:
        """Return what the page shows and what Superset said last, for whoever mends a test."""
        log = self._superset.home / "logs" / "superset.log"
        return "\n".join(
            [
                f"the page is {self.page.url}, and shows:",
                _seen(self.page),
                *("tries before:", *self.lost),
                *("answers that were errors:", *self.failed),
                *("not answered:", *self._asked.values()),
                f"the end of {log}:",
                *_end(log),
            ]
        )


@contextmanager
def superset_browser(superset: RunningSuperset) -> Iterator[SupersetBrowser]:
    """Yield a browser; what goes wrong with it is told with what it showed."""
    with chromium_page() as page:
        browser = SupersetBrowser(page, superset)
        try:
            yield browser
        except Exception as error:
            error.add_note(browser.told())
            raise


def _seen(page: Any) -> str:
    from playwright.sync_api import Error

    try:
        return str(page.locator("body").inner_text(timeout=5_000))[:3_000]
    except Error as error:
        return f"(cannot be read: {error})"


def _end(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    except OSError as error:
        return [f"(cannot be read: {error})"]
