"""The parsed dbt project that the definitions are made from: kept, and made anew when stale."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lake.dbt_run import parse_project

logger = logging.getLogger(__name__)

READ_BY_DBT = ("macros", "models", "seeds", "tests", "snapshots", "analyses")
DIGITS = 16


def load_manifest(project: Path, folder: Path) -> dict[str, Any]:
    """Return the manifest of ``project``, parsing it when its files changed.

    It is kept in ``folder``, never in the project, which may be an installed package that nobody
    may write to. Parsing needs no lake and no data.

    Raises:
        BuildError: the project does not parse.
    """
    kept = folder / f"manifest-{fingerprint(project)}.json"
    if not kept.exists():
        _parse(folder, kept)
        for old in folder.glob("manifest-*.json"):
            if old != kept:
                old.unlink(missing_ok=True)
    manifest: dict[str, Any] = json.loads(kept.read_bytes())
    return manifest


def fingerprint(project: Path) -> str:
    """Return a name for the present state of the project's files and of dbt."""
    digest = hashlib.sha256(version("dbt-core").encode())
    folders = [project / name for name in READ_BY_DBT]
    files = [*project.glob("*.yml"), *(path for f in folders for path in f.rglob("*"))]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(str(path.relative_to(project)).encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:DIGITS]


def _parse(folder: Path, kept: Path) -> None:
    logger.info("dbt_project_parsed", extra={"manifest": str(kept)})
    folder.mkdir(parents=True, exist_ok=True)
    parsed = parse_project(home=folder)
    draft = kept.with_suffix(".json.new")
    draft.write_text(json.dumps(parsed))
    draft.replace(kept)
