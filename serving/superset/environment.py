"""Superset's own virtual environment: its packages do not resolve beside lakeward's.

One for all lakes of a user, named after the lock file that it was made from, so that a new lock
makes a new one. Every package is pinned and comes with its hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.cache_folder import cache_folder
from serving.errors import SupersetEnvironmentError

LOCK: Final = Path(__file__).parent / "requirements.txt"
INSIDE: Final = Path(__file__).parent / "inside"
"""Modules that run in that environment."""
PYTHONS: Final = ("3.11", "3.12")
"""What Superset 6.1 and its pandas have wheels for, and lakeward runs on."""
_DONE: Final = ".complete"


@dataclass(frozen=True, slots=True)
class SupersetEnvironment:
    """An installed Superset."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


def usual_folder() -> Path:
    """Where Superset is installed: below the user's cache folder, one a lock file."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return cache_folder() / f"superset-{digest}"


def package_count() -> int:
    """Return how many packages the lock file names, on whatever platform."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return sum(1 for line in lines if line[:1].isalnum())


def ensure(folder: Path, python: str | None, say: Callable[[str], None]) -> SupersetEnvironment:
    """Install Superset into ``folder`` unless it is there, and return it.

    Safe to interrupt: what was not finished is made anew. Of two that begin at once, one waits.

    Args:
        folder: where.
        python: the interpreter; None: this one.
        say: is told what happens, in words for a user.

    Raises:
        SupersetEnvironmentError: no fitting Python, or a package cannot be had.
    """
    found = SupersetEnvironment(folder)
    if (folder / _DONE).exists():
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock")):
            if not (folder / _DONE).exists():
                _install(found, python or sys.executable, say)
    except OSError as error:
        raise SupersetEnvironmentError(
            f"{folder} cannot be written: {error}",
            hint="LAKEWARD_SUPERSET_ENVIRONMENT names another folder",
        ) from error
    return found


def _install(environment: SupersetEnvironment, python: str, say: Callable[[str], None]) -> None:
    folder = environment.folder
    version = _run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    if version not in PYTHONS:
        raise SupersetEnvironmentError(
            f"Superset needs Python {' or '.join(PYTHONS)}, and {python} is {version}",
            hint="LAKEWARD_SUPERSET_PYTHON names another interpreter",
        )
    say(f"installing Apache Superset and what it needs into {folder}")
    say(f"  {package_count()} packages, pinned with their hashes, about 200 MB; once a version")
    shutil.rmtree(folder, ignore_errors=True)
    _run([python, "-m", "venv", *(() if _uv() is None else ("--without-pip",)), str(folder)])
    _run(
        [*_installer(environment), "install", "--require-hashes", "--requirement", str(LOCK)]
        if _uv() is None
        else [
            *(_uv() or "", "pip", "install", "--quiet", "--require-hashes"),
            *("--python", str(environment.python), "--requirement", str(LOCK)),
        ]
    )
    (folder / _DONE).touch()


def _installer(environment: SupersetEnvironment) -> list[str]:
    return [str(environment.python), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _uv() -> str | None:
    """Uv does in seconds what takes pip minutes; it is used where it is."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SupersetEnvironmentError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        last = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise SupersetEnvironmentError(
            f"{Path(command[0]).name} {' '.join(command[1:3])} failed:\n  {last}",
            hint="it needs PyPI, or the index that pip is set up for; running it again goes on",
        )
    return done.stdout


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
