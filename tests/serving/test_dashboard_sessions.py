"""When the dashboard opens a new session, and that nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lake.tables import Lake
from serving.dashboard.sessions import LOOK_S, MUCH, OLD_S, Sessions


@dataclass(eq=False)
class Reader:
    """Stands for a session: says how much it holds, and whether it was closed."""

    number: int
    held_rows: int | None
    has_live: bool = False
    closed: list[int] = field(default_factory=list)

    def beside(self) -> Reader:
        return Reader(self.number, self.held_rows)

    def close(self) -> None:
        self.closed.append(self.number)


@dataclass
class Dashboard:
    """Sessions with a clock, builds and readers of the test's own."""

    lake: Lake
    now: float = 0.0
    version: int = 0
    held: int | None = 0
    may_open: threading.Event = field(default_factory=threading.Event)
    opened: list[Reader] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_open.set()
        versions: Any = SimpleNamespace(
            of=lambda _: SimpleNamespace(id="table", version=self.version)
        )
        self.sessions = Sessions(self.lake, versions, self._open, lambda: self.now)

    def _open(self) -> Any:
        assert self.may_open.wait(60)
        self.opened.append(Reader(len(self.opened), self.held))
        return self.opened[-1]

    def lease(self, needed: Collection[str]) -> AbstractContextManager[Reader]:
        """Lend what the sessions lend, which is one of the test's own readers."""
        lent: Any = self.sessions.lease(needed)
        reader: AbstractContextManager[Reader] = lent
        return reader

    def asked(self) -> int:
        """Return the number of the session that a query has now."""
        with self.lease(()) as reader:
            return reader.number

    def later(self, seconds: float) -> int:
        """Ask after so long, until what was begun in the background has been done."""
        self.now += seconds
        self.asked()
        deadline = time.monotonic() + 60
        while self.sessions._opening.locked():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self.asked()


@pytest.fixture
def dashboard(tmp_path: Path) -> Dashboard:
    lake = Lake(str(tmp_path / "lake"))
    write_deltalake(lake.uri("gold", "fct_metrics_1m"), pa.table({"n": [1]}))
    return Dashboard(lake)


def test_a_session_stays_until_there_is_a_build(dashboard: Dashboard) -> None:
    assert dashboard.asked() == 0
    assert dashboard.later(2 * OLD_S) == 0


@pytest.mark.parametrize(
    ("held", "after", "number"),
    [(MUCH - 1, LOOK_S, 0), (MUCH, LOOK_S, 1), (0, OLD_S, 1), (None, LOOK_S, 1)],
)
def test_after_a_build_it_is_renewed_when_it_holds_much_is_old_or_holds_nothing(
    dashboard: Dashboard, held: int | None, after: float, number: int
) -> None:
    dashboard.held = held
    assert dashboard.asked() == 0
    dashboard.version = 1
    assert dashboard.later(after) == number
    assert dashboard.opened[0].closed == [0] * number


def test_the_old_session_answers_while_the_new_one_is_opened(dashboard: Dashboard) -> None:
    dashboard.held = MUCH
    assert dashboard.asked() == 0
    dashboard.version = 1
    dashboard.now += LOOK_S
    dashboard.may_open.clear()
    with dashboard.lease(()) as running:
        assert dashboard.asked() == 0
        dashboard.may_open.set()
        assert dashboard.later(0) == 1
        assert running.number == 0
        assert dashboard.opened[0].closed == []
    assert dashboard.opened[0].closed == [0]


def test_a_new_table_is_waited_for(dashboard: Dashboard) -> None:
    assert dashboard.asked() == 0
    write_deltalake(dashboard.lake.uri("gold", "fct_geo"), pa.table({"n": [1]}))
    with dashboard.lease(("gold.fct_geo",)) as reader:
        assert reader.number == 1
    dashboard.sessions.close()
    assert [reader.closed for reader in dashboard.opened] == [[0], [1]]
