"""A page of Debian's Chromium, for tests that look at one as a person does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium_page() -> Iterator[Any]:
    """Yield a page; without a Chromium the test is skipped, or fails where one is required."""
    if not Path(CHROMIUM).exists():
        reason = f"the browser test is left out: {CHROMIUM} is missing (apt-get install chromium)"
        if os.environ.get("LAKEWARD_REQUIRE_BROWSER", "0") not in ("", "0"):
            pytest.fail(f"LAKEWARD_REQUIRE_BROWSER is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1440, "height": 960})
        browser.close()
