"""Which lakes a run of dbt works on: those that this process names, else those of the environment.

dbt hashes what its profile and ``--vars`` say to find out whether the last parse of the project
still holds. The models are the same for all lakes, so where a lake is stands in neither, and one
parse serves them all (docs/adr/104-one-parse-for-all-lakes.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lake.build_run import Lakes
from lake.settings import LakeSettings
from lake.tables import Lake

KEY_HASHES: Final = "key_hashes"

_named: list[Lakes] = []
"""Those of the run that is under way in this process, of which there is one at a time."""


@contextmanager
def working_on(lakes: Lakes) -> Iterator[None]:
    """Let runs of dbt work on ``lakes``, whatever the environment says; one run at a time."""
    _named.append(lakes)
    try:
        yield
    finally:
        _named.remove(lakes)


def lakes_of_run(*, is_dev: bool) -> Lakes:
    """Return the lakes for a dbt target.

    Plain dbt finds them by ``LAKEWARD_LAKE_ROOT``, else as ``LAKEWARD_HOME/lake``; a path that is
    not absolute counts from the working directory, which is the dbt project. A dev target owns
    ``LAKEWARD_HOME/dev/lake``.
    """
    if _named:
        return _named[-1]
    home = Path(os.environ.get("LAKEWARD_HOME") or "../data")
    root = os.environ.get("LAKEWARD_LAKE_ROOT") or str(home / "lake")
    return lakes_at(root, home, is_dev=is_dev)


def lakes_at(root: str, home: Path, *, is_dev: bool) -> Lakes:
    """Return the lake at ``root``, and beside it the one that a dev target owns in ``home``."""
    shared = Lake(LakeSettings(lake_root=root).root)
    if not is_dev:
        return Lakes(shared, shared, home / KEY_HASHES)
    return Lakes(shared, Lake(str((home / "dev" / "lake").resolve())), home / "dev" / KEY_HASHES)
