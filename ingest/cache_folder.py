"""Where lakeward keeps what can be made or fetched again, for all homes of a user."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/lakeward``, else ``~/.cache/lakeward``; it may not be there yet.

    Raises:
        RuntimeError: the user has no home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lakeward"
