"""Live panels: every committed event, beside a build too; and gold, with a word, without views."""

from __future__ import annotations

import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lake.live_texts import LiveText, keep_texts, read_texts
from lake.read import LakeReader
from serving.dashboard.server import Wishes, build
from tests.dbt.conftest import TestLake

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2, which nothing else needs
    from starlette.testclient import TestClient

MODELS = (
    *("sites", "stg_clickstream", "stg_registrations", "stg_conversions", "stg_ad_events"),
    *("fct_metrics_1m", "fct_campaign_1m", "current_active_sessions"),
)
NUMBERS = "/panels/live_numbers.json"


@dataclass
class Visits:
    """A lake whose page events are counted, all within an hour."""

    lake: TestLake
    count: int = 0

    def commit(self, events: int) -> None:
        rows = [
            {
                "tenant_id": "acme",
                "event_id": f"e{self.count + n}",
                "session_id": f"s{n}",
                "site_id": "ico-001",
                "event_type": "page_view",
            }
            for n in range(events)
        ]
        self.lake.add("clickstream", rows, minutes=0.01)
        self.count += events

    def build(self) -> None:
        self.lake.build("--select", *MODELS)


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Visits:
    """Built once, without an advertisement, a sign-up or a conversion so far."""
    made = Visits(TestLake(tmp_path_factory.mktemp("dashboard_live")))
    made.commit(20)
    made.build()
    return made


@contextmanager
def opened(visits: Visits) -> Iterator[TestClient]:
    app = build(
        visits.lake.lake,  # type: ignore[arg-type]
        Wishes(),
        lambda: None,
        data_docs=None,
        now=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    with TestClient(app, base_url="http://127.0.0.1") as made:
        yield made


def shown(made: TestClient, address: str = NUMBERS) -> tuple[Any, str | None]:
    """Return the first number of a panel, and what it says beside it."""
    told = made.get(address)
    assert told.status_code == 200, told.text
    rows = told.json()["rows"]
    return rows[0][0] if rows else None, told.json()["note"]


def eventually(made: TestClient, wanted: tuple[Any, str | None]) -> None:
    """Wait, since an open dashboard looks only every few seconds whether the lake has changed."""
    deadline = time.monotonic() + 120
    while (found := shown(made)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def test_a_live_panel_has_what_is_committed_while_a_build_runs(visits: Visits) -> None:
    with opened(visits) as made:
        assert shown(made) == (visits.count, None)
        visits.commit(15)
        eventually(made, (visits.count, None))
        enough, ended, failed = threading.Event(), threading.Event(), []

        def run() -> None:
            try:
                while not enough.is_set():  # one build may be over before anybody looks
                    visits.build()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failed.append(error)
            finally:
                ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        answers = 0
        while not ended.is_set():
            visits.commit(3)
            before = visits.count
            number, note = shown(made)
            assert (number <= before, note) == (True, None)
            assert shown(made, "/panels/live_activity.json")[1] is None
            eventually(made, (before, None))
            answers += 1
            if answers == 3:
                enough.set()
        thread.join()
        assert failed == []
        assert shown(made, "/panels/live_campaigns.json") == (None, None)  # no bronze table yet


def test_without_live_views_a_panel_shows_the_last_build_and_says_so(visits: Visits) -> None:
    lake = visits.lake.lake
    visits.commit(5)
    with LakeReader(lake) as reader:  # type: ignore[arg-type]
        built = reader.table("select sum(event_count)::bigint from gold.fct_metrics_1m")[0][
            0
        ].as_py()
    assert built < visits.count
    texts = read_texts(lake)  # type: ignore[arg-type]
    broken = [
        LiveText(one.kind, one.name, one.key, "select nothing from nowhere")
        if one.name == "fct_metrics_1m"
        else one
        for one in texts
    ]
    with opened(visits) as made:
        assert shown(made) == (visits.count, None)
        tag = made.get(NUMBERS).headers["etag"]

    keep_texts(lake, broken)  # type: ignore[arg-type]
    with opened(visits) as made:
        number, note = shown(made)
        assert number == built
        assert "nowhere does not exist" in str(note)
        assert made.get(NUMBERS, headers={"if-none-match": tag}).status_code == 200
        assert shown(made, "/panels/live_sites.json")[1] is None  # the others are as they were

    shutil.rmtree(Path(lake.uri("ops", "live_views")))
    with opened(visits) as made:
        note = "the lake has no view live.metrics_1m; `lakeward build` makes it"
        assert shown(made) == (built, note)
        keep_texts(lake, texts)  # type: ignore[arg-type]
        eventually(made, (visits.count, None))

    shutil.rmtree(Path(lake.uri("gold", "fct_campaign_1m")))
    with opened(visits) as made:
        told = made.get("/panels/live_campaigns.json")  # nothing to fall back on
        assert (told.status_code, "not there yet" in told.json()["message"]) == (404, True)
        assert shown(made)[1] is None
