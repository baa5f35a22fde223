"""The parse of the dbt project: made once, kept below the user's cache folder, used by all homes.

dbt itself decides whether a parse that was kept still holds: it compares its own version, the
target, the variables and the contents of every file, and parses anew what has changed.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dbt.cli.main import dbtRunner

from ingest.cache_folder import cache_folder
from lake.errors import BuildError

logger = logging.getLogger(__name__)

UNUSED_S: Final = 30 * 86_400
"""A parse that was not used for so long is removed."""

_FILE: Final = "partial_parse.msgpack"
_parsed: dict[tuple[str, ...], Any] = {}
"""Parsed projects of this process, by what they were parsed from."""


def parsed_project(project: Path, options: Sequence[str], of: tuple[str, ...]) -> Any:
    """Return the parsed project, parsed once a process while its files stay as they are.

    Args:
        project: the folder of ``dbt_project.yml``.
        options: of dbt's command line, for any command; its target path among them.
        of: what else the parse depends on: the target and the variables.

    Raises:
        BuildError: the project does not parse.
    """
    key = (*of, *(f"{path}:{path.stat().st_mtime_ns}" for path in _files(project)))
    if key not in _parsed:
        parsed = _parse(options, _kept(str(project), *of))
        _parsed.clear()
        _parsed[key] = parsed
    return _parsed[key]


def _files(project: Path) -> list[Path]:
    folders = (project / name for name in ("macros", "models", "seeds", "tests"))
    found = [*project.glob("*.yml"), *(path for one in folders for path in one.rglob("*.*"))]
    return sorted(path for path in found if path.is_file())


def _parse(options: Sequence[str], kept: Path | None) -> Any:
    """Let dbt begin with the kept parse, or else with that of the target path, if there is one.

    dbt writes to the target path what it had to parse, and nothing when all held.
    """
    own = Path(options[options.index("--target-path") + 1]) / _FILE
    is_kept = kept is not None and kept.is_file()
    start = ["--partial-parse-file-path", str(kept)] if is_kept else []
    before = _stamp(own)
    # the command that comes writes the manifest
    answer = dbtRunner().invoke(["parse", "--no-write-json", *options, *start])
    if answer.exception is not None:
        raise BuildError(f"the dbt project cannot be parsed: {answer.exception}")
    if kept is not None and (not is_kept or _stamp(own) != before):
        _keep(own, kept)
    elif kept is not None:
        with suppress(OSError):  # of another user, whose it is to keep
            kept.touch()
    return answer.result


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None


def _kept(*parts: str) -> Path | None:
    """Return where the parse is kept; None for a user without a folder for such things."""
    try:
        folder = cache_folder() / "dbt"
    except RuntimeError:
        return None
    of = (version("dbt-core"), version("dbt-duckdb"), *parts)
    digest = hashlib.sha256("\0".join(of).encode()).hexdigest()[:16]
    return folder / f"{digest}.msgpack"


def _keep(own: Path, kept: Path) -> None:
    """Copy a parse; who reads meanwhile has the old one or the new one, and never a half."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as folder:
            copy = Path(folder) / kept.name
            shutil.copyfile(own, copy)
            copy.replace(kept)
        for path in kept.parent.glob("*.msgpack"):
            if time.time() - path.stat().st_mtime > UNUSED_S:
                path.unlink()
    except OSError as error:
        # a run is only slower without it
        logger.info("dbt_parse_not_kept", extra={"path": str(kept), "why": str(error)})
