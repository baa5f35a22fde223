"""Prometheus, where it is installed."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def prometheus() -> None:
    """Skips, or fails, where Prometheus and promtool are not installed."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    reason = (
        "tests of Prometheus are left out: it is not installed (Debian: apt-get install prometheus)"
    )
    if os.environ.get("LAKEWARD_REQUIRE_PROMETHEUS", "0") not in ("", "0"):
        pytest.fail(f"LAKEWARD_REQUIRE_PROMETHEUS is set, but {reason}", pytrace=False)
    pytest.skip(reason)
