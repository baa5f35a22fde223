"""A live view is gold and what came since: each event once, at once, whatever a build is doing."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.as_of import AtTime
from lake.errors import QueryError
from lake.read import LakeReader
from serving.catalog import build_catalog

MODELS = (
    *("sites", "stg_clickstream", "stg_registrations", "stg_conversions", "stg_ad_events"),
    *("fct_metrics_1m", "fct_metrics_60m", "fct_campaign_1m", "current_active_sessions"),
)
NAMES = ("kept", "held", "new")
"""Who reads while builds run: a session with old views, one that holds its tail, a new one."""
TOTALS = """
    select sum(event_count)::bigint, sum(conversion_count)::bigint, sum(revenue_usd)
    from live.metrics_1m
"""


@dataclass
class Stream:
    """Events with a known number of different valid ones: late, twice, broken, several tenants."""

    lake: Any
    random: random.Random = field(default_factory=lambda: random.Random(7))
    valid: int = 0
    paid: Decimal = Decimal(0)
    conversions: int = 0
    _number: int = 0
    _sent: list[dict[str, Any]] = field(default_factory=list)

    def commit(self, size: int, minutes: float = 0.02) -> None:
        """Make one commit of page events and one of conversions, and count what is new."""
        clicks, valid = [], 0
        for _ in range(size):
            kind = self.random.random()
            if kind < 0.1 and self._sent:
                clicks.append(dict(self.random.choice(self._sent)))
                continue
            row = self._click()
            if kind > 0.95:
                row["event_type"] = "stare"
            else:
                valid += 1
                self._sent.append(row)
            clicks.append(row)
        paid = [self._purchase() for _ in range(size // 4)]
        self.lake.add("clickstream", clicks, minutes=minutes)
        self.valid += valid
        self.lake.add("conversions", paid, minutes=minutes)
        self.conversions += len(paid)
        self.paid += sum(row["amount_usd"] for row in paid)

    def _base(self) -> dict[str, Any]:
        self._number += 1
        age = self.random.choice([0, 0, 0, 20, 400, 30 * 3600, 200 * 3600])
        return {
            "tenant_id": self.random.choice(["acme", "globex"]),
            "session_id": f"s{self.random.randrange(30)}",
            "user_id": self.random.choice(["u1", "u2"]),
            "site_id": "ico-001",
            "occurred_at": self.lake.now - timedelta(seconds=age + self.random.random()),
        }

    def _click(self) -> dict[str, Any]:
        return {
            **self._base(),
            "event_id": f"c{self._number}",
            "event_type": "page_view",
            "page_load_time": self.random.random(),
            "referrer": self.random.choice([None, "https://www.google.com/"]),
        }

    def _purchase(self) -> dict[str, Any]:
        return {
            **self._base(),
            "conversion_id": f"v{self._number}",
            "conversion_type": "token_purchase",
            "amount_usd": Decimal(self.random.randrange(100, 90_000)) / 100,
        }

    @property
    def totals(self) -> tuple[int, int, Decimal]:
        return self.valid, self.conversions, self.paid


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A lake that was built once, to which more came since."""
    from tests.dbt.conftest import TestLake

    stream = Stream(TestLake(tmp_path_factory.mktemp("live")))
    for _ in range(3):
        stream.commit(80, minutes=1)
    stream.lake.add("ad_events", [ad("a1", "click", stream.lake.now, "0.5000")])
    build(stream.lake)
    stream.commit(80)
    return stream


def ad(event_id: str, event: str, now: datetime, cost: str) -> dict[str, Any]:
    return {
        "tenant_id": "acme",
        "event_id": event_id,
        "campaign_id": "spring_sale",
        "channel": "email",
        "event": event,
        "cost": Decimal(cost),
        "occurred_at": now,
    }


def build(lake: Any) -> None:
    lake.build("--select", *MODELS)


def ask(lake: Any, sql: str) -> list[tuple[Any, ...]]:
    with LakeReader(lake.lake) as reader:
        reader.columns(sql)
        return list(reader.rows())


def test_an_event_is_seen_once_it_is_committed_and_only_once(stream: Stream) -> None:
    assert ask(stream.lake, TOTALS) == [stream.totals]
    before = stream.totals
    stream.commit(60)
    assert stream.totals > before
    assert ask(stream.lake, TOTALS) == [stream.totals]


def test_a_live_view_shows_what_the_next_build_will_make(stream: Stream) -> None:
    lake = stream.lake
    lake.add("ad_events", [ad("a1", "click", lake.now, "0.5000")])  # again
    lake.add("ad_events", [ad("a2", "impression", lake.now - timedelta(days=3), "0.0000")])
    # Which channel a window belongs to may wait for the build, see docs/concepts/live.md.
    windows = """
        select tenant_id, metric_date, window_start, site_id, sum(event_count) as events,
            sum(page_view_count) as page_views, sum(conversion_count) as conversions,
            sum(purchase_count) as purchases, sum(revenue_usd) as revenue_usd
        from {0}.{1}metrics_{2} group by all order by all
    """
    live = {m: ask(lake, windows.format("live", "", m)) for m in ("1m", "60m")}
    campaigns = ask(lake, "from live.campaign_1m order by all")
    build(lake)
    assert {m: ask(lake, windows.format("gold", "fct_", m)) for m in live} == live
    assert ask(lake, "from gold.fct_campaign_1m order by all") == campaigns
    assert len(campaigns) == 2
    for mart, view in (("fct_metrics_1m", "metrics_1m"), ("fct_campaign_1m", "campaign_1m")):
        assert ask(lake, f"from live.{view} order by all") == ask(
            lake, f"from gold.{mart} order by all"
        )


def test_a_session_that_holds_the_tail_sees_what_the_views_say(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that looks up in silver what was built, and one that may hold nothing.

    Minutes are closed after each commit, so those that events come late for are opened again.
    """
    lake = stream.lake
    monkeypatch.setattr("lake.held_windows.WORTH_IT", 0)
    monkeypatch.setattr("lake.held_windows.QUIET", 0)
    stream.commit(30)
    built = lake.lake.open("silver", "stg_clickstream").to_pyarrow_table()
    again = ["tenant_id", "event_id", "session_id", "site_id", "event_type", "occurred_at"]
    with (
        LakeReader(lake.lake) as plain,
        LakeReader(lake.lake, holds_tail=True) as held,
        LakeReader(lake.lake, holds_tail=True) as partly,
        LakeReader(lake.lake, holds_tail=True) as full,
    ):

        def same() -> None:
            for view in ("metrics_1m", "metrics_60m", "campaign_1m"):
                sql = f"from live.{view} order by all"
                wanted = plain.table(sql).to_pylist()
                for reader in (held, partly, full):
                    assert reader.table(sql).to_pylist() == wanted, view

        held.columns(TOTALS)
        with monkeypatch.context() as patched:
            patched.setattr("lake.held_live.MOST_BUILT", 0)
            partly.columns(TOTALS)
            patched.setattr("lake.held_live.MOST_NEW", 0)
            full.columns(TOTALS)
        for n in range(2):
            stream.commit(30)
            same()
            closed = "select count(*) from held.rows_fct_metrics_1m"
            deadline = time.monotonic() + 60
            while held.table(closed)[0][0].as_py() == 0:  # it is done beside the queries
                assert time.monotonic() < deadline
                time.sleep(0.02)
            lake.add("clickstream", built.select(again).slice(n * 9, 9).to_pylist(), minutes=0.01)
            lake.add("ad_events", [ad(f"h{n}", "click", lake.now, "0.25")])
            same()
        lake.lake.open("bronze", "clickstream").optimize.compact()
        stream.commit(30)
        build(lake)  # they look from the same moment on as before
        stream.commit(30)
        same()
        assert list(held.table(TOTALS).to_pylist()[0].values()) == list(stream.totals)
        schema = "from duckdb_schemas() where schema_name = 'held'"
        assert [reader.table(schema).num_rows for reader in (held, partly, full)] == [1, 1, 0]
        new = "from held.events_clickstream where not is_new"
        assert held.table(new).num_rows == partly.table(new).num_rows >= 18
        bronze = lake.lake.open("bronze", "clickstream")
        whole = bronze.version()
        bronze.delete("tenant_id = 'acme'")
        same()  # what is held must not outlive them
        assert [reader.table(schema).num_rows for reader in (held, partly, full)] == [0, 0, 0]
    bronze.restore(whole)  # for the tests that come after
    assert ask(lake, TOTALS) == [stream.totals]


def test_nothing_is_lost_or_counted_twice_while_builds_run(stream: Stream) -> None:
    """Each read must lie between what was committed when it began and when it ended."""
    lake, ended = stream.lake, threading.Event()
    broken: list[BaseException] = []
    reads: list[tuple[str, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = []

    def different(name: str) -> int:
        return len({read[2] for read in list(reads) if read[0] == name})

    def watched(work: Any) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised again below
                broken.append(error)
                ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        while not ended.is_set():
            stream.commit(12)
            ended.wait(0.05)

    def builds() -> None:
        for _ in range(3):
            lake.build("--select", "stg_clickstream", "stg_conversions", "fct_metrics_1m")
        while not ended.is_set() and min(map(different, NAMES)) < 2:
            ended.wait(0.1)  # on a busy machine builds may be the quicker
        ended.set()

    def read() -> None:
        # Their views are as old as the test, builds go on.
        with LakeReader(lake.lake) as kept, LakeReader(lake.lake, holds_tail=True) as held:
            old = {"kept": kept, "held": held}
            for reader in old.values():
                reader.columns(TOTALS)
            while not ended.is_set():
                for name in NAMES:
                    before = stream.totals
                    if name in old:
                        old[name].columns(TOTALS)
                        seen = next(old[name].rows())
                    else:
                        seen = ask(lake, TOTALS)[0]
                    reads.append((name, before, seen, stream.totals))

    threads = [watched(work) for work in (read, write, builds)]
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    # One commit may be visible a moment before it is counted.
    slack = (12, 3, Decimal(3 * 900))
    for name, before, seen, after in reads:
        assert all(low <= one for low, one in zip(before, seen, strict=True)), (name, "lost")
        most = [high + more for high, more in zip(after, slack, strict=True)]
        assert all(one <= high for one, high in zip(seen, most, strict=True)), (name, "twice")
    for name in NAMES:
        seen = [read[2] for read in reads if read[0] == name]
        assert len(set(seen)) > 1
        assert all(earlier <= later for earlier, later in pairwise(seen)), "a read saw less"
    assert ask(lake, TOTALS) == [stream.totals]
    build(lake)
    assert ask(lake, TOTALS) == [stream.totals]
    assert ask(lake, TOTALS.replace("live.", "gold.fct_")) == [stream.totals]


def test_active_sessions_are_of_now(stream: Stream) -> None:
    lake = stream.lake
    now = datetime.now(UTC)
    lake.now = now
    base = {"tenant_id": "acme", "event_type": "page_view", "site_id": "ico-001"}
    lake.add(
        "clickstream",
        [
            {**base, "event_id": "n1", "session_id": "here", "page_type": "homepage"}
            | {"occurred_at": now - timedelta(minutes=10)},
            {**base, "event_id": "n2", "session_id": "gone"}
            | {"occurred_at": now - timedelta(minutes=45)},
        ],
        minutes=0,
    )
    active = "select session_id, page_type from live.active_sessions where last_event_id[1] = 'n'"
    assert ask(lake, active) == [("here", "homepage")]
    build(lake)
    more = {**base, "event_id": "n3", "session_id": "here", "page_type": "presale"}
    lake.add("clickstream", [more | {"occurred_at": now - timedelta(minutes=1)}], minutes=0.01)
    assert ask(lake, active) == [("here", "presale")]


def test_the_catalog_has_the_live_views(stream: Stream, tmp_path: Path) -> None:
    result = build_catalog(stream.lake.lake, tmp_path / "catalog.duckdb")
    assert result.left_out == ()
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as catalog:
        found = catalog.execute("select view_name from duckdb_views() where schema_name = 'live'")
        names = {name for (name,) in found.fetchall()}
    assert {"metrics_1m", "metrics_60m", "campaign_1m", "active_sessions"} <= names
    assert "metrics_5m" not in names, "its mart was not built"


def test_a_view_whose_mart_was_not_built_says_what_to_do(stream: Stream) -> None:
    with pytest.raises(QueryError) as caught:
        ask(stream.lake, "from live.metrics_5m")
    assert "lakeward build" in (caught.value.hint or "")


def test_a_query_for_one_tenant_or_window_is_that_part_of_the_whole(stream: Stream) -> None:
    """What a query filters by reaches bronze, silver and gold; what it sees is the same."""
    stream.commit(60)
    whole = ask(stream.lake, "from live.metrics_1m order by all")
    newest = max(row[2] for row in whole)
    for of, kept in (
        ("tenant_id = 'globex'", lambda row: row[0] == "globex"),
        (f"window_start >= timestamptz '{newest}'", lambda row: row[2] >= newest),
        (f"metric_date < date '{newest.date()}'", lambda row: row[1] < newest.date()),
    ):
        part = ask(stream.lake, f"from live.metrics_1m where {of} order by all")
        assert part == [row for row in whole if kept(row)]
        assert 0 < len(part) < len(whole)


def test_the_past_has_no_live_views(stream: Stream) -> None:
    moment = datetime.now(UTC)
    with (
        LakeReader(stream.lake.lake, AtTime(moment)) as reader,
        pytest.raises(QueryError) as caught,
    ):
        reader.columns("from live.metrics_1m")
    assert "of now" in (caught.value.hint or "")
