"""Dagster's page in a real browser: the assets are materialized by a click.

``SCREENSHOTS=<folder>`` keeps the pictures that docs/images holds.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lake.tables import Lake
from orchestration.stack.health import DagsterPage
from tests.chromium import chromium_page
from tests.orchestration.stack.test_up import PATIENCE_S, Up, bronze_rows

RUNS = (
    '{ runsOrError(filter: {pipelineName: "everything"}) '
    "{ ... on Runs { results { runId status } } } }"
)
LAYERS: dict[str, str] = {"bronze": "clickstream", "silver": "int_sessions", "gold": "fct_funnel"}


@pytest.fixture
def page() -> Iterator[Any]:
    with chromium_page() as opened:
        yield opened


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    # The sensor looks once an hour here, so that no build of its own gets in the way.
    started = Up(tmp_path / "home", "--generate", "--rate", "3000", LAKEWARD_WATCH_SECONDS="3600")
    started.wait_until_up()
    started.wait_for(lambda: bronze_rows(started.home) > 200)
    yield started
    if started.process.poll() is None:
        started.stop(signal.SIGTERM)


@pytest.mark.timeout(1500)
def test_a_click_materializes_every_table(up: Up, page: Any) -> None:
    address = up.page.url
    launch(page, f"{address}/locations/lakeward/jobs/everything", up.page)
    run = wait_for_run(up.page)
    assert run["status"] == "SUCCESS", (up.home / "logs" / "dagster-code.log").read_text()[-5000:]

    lake = Lake(str(up.home / "lake"))
    for layer, table in LAYERS.items():
        assert lake.exists(layer, table)  # type: ignore[arg-type]

    page.goto(f"{address}/runs/{run['runId']}")
    page.get_by_text("RUN_SUCCESS").first.wait_for(timeout=PATIENCE_S * 1000)
    keep(page, up, "dagster-run")

    page.goto(f"{address}/assets/gold/fct_funnel?view=lineage&lineageScope=upstream&lineageDepth=5")
    for name in ("clickstream-events", "stg_clickstream"):
        page.locator(f"svg >> text={name}").first.wait_for(timeout=PATIENCE_S * 1000)
    keep(page, up, "dagster-assets")

    page.goto(f"{address}/assets/gold/fct_funnel?view=checks&checkDetail=expectations")
    page.get_by_text("rows checked").first.wait_for(timeout=PATIENCE_S * 1000)
    page.get_by_text("Passed").first.wait_for(timeout=PATIENCE_S * 1000)
    keep(page, up, "dagster-check")


def launch(page: Any, address: str, dagster: DagsterPage) -> None:
    """Click until there is a run, as a person does whose click was lost as the page was drawn."""
    from playwright.sync_api import Error

    deadline = time.monotonic() + PATIENCE_S
    while not runs_of(dagster):
        assert time.monotonic() < deadline, page.locator("body").inner_text()
        try:
            page.goto(address, timeout=60_000)
            page.get_by_role("button", name="Materialize all").click(timeout=60_000)
            page.get_by_text("Launched run").first.wait_for(timeout=60_000)
        except Error:
            time.sleep(1)


def runs_of(page: DagsterPage) -> list[dict[str, str]]:
    """Return the runs of the job, the newest first."""
    runs: list[dict[str, str]] = page.ask(RUNS)["runsOrError"]["results"]
    return runs


def wait_for_run(page: DagsterPage) -> dict[str, str]:
    """Return the run that the click started, once it has ended."""
    deadline = time.monotonic() + 6 * PATIENCE_S
    ended: Callable[[str], bool] = {"SUCCESS", "FAILURE", "CANCELED"}.__contains__
    while True:
        runs = runs_of(page)
        if runs and ended(runs[-1]["status"]):
            return runs[-1]
        assert time.monotonic() < deadline, runs
        time.sleep(1)


def keep(page: Any, up: Up, name: str) -> None:
    """Take a picture, when somebody wants it; the test's own folder is called ``data`` in it."""
    folder = os.environ.get("SCREENSHOTS")
    if folder is None:
        return
    page.wait_for_timeout(3_000)  # what moves on the page comes to rest
    page.evaluate(
        """home => {
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                texts.currentNode.data = texts.currentNode.data.replaceAll(home, "data");
            }
        }""",
        str(up.home.resolve()),
    )
    page.screenshot(path=str(Path(folder) / f"{name}.png"))
