"""Packages of npm on this machine: from the cache, or fetched once, as a lock file names them."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kafka_servers.distribution import cache_dir

FETCH_TIMEOUT_S = 240
WRITTEN = ("package.json", "package-lock.json")


class NpmUnavailableError(Exception):
    """The packages are not to be had here; the message is one line: why, and how to get them."""


def node_modules(name: str, folder: Path) -> Path:
    """Return a ``node_modules`` with the packages that a folder's lock file names.

    Args:
        name: what to call them, in the cache and in messages.
        folder: has ``package.json`` and ``package-lock.json``.

    Raises:
        NpmUnavailableError: Node.js is missing, or npm does not give the packages.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NpmUnavailableError(
                f"{program} is not installed (on Debian and Ubuntu: apt-get install nodejs npm)"
            )
    locked = b"".join((folder / file).read_bytes() for file in WRITTEN)
    kept = cache_dir() / f"{name}-{hashlib.sha256(locked).hexdigest()[:12]}"
    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.is_dir():  # another test run may have fetched them while we waited
                _fetch(name, folder, kept)
    return kept / "node_modules"


def _fetch(name: str, folder: Path, kept: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=kept.parent))
    try:
        for file in WRITTEN:
            shutil.copy(folder / file, draft)
        try:
            subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
                cwd=draft,
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
                check=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise NpmUnavailableError(
                f"npm did not deliver {name} in {FETCH_TIMEOUT_S} s (is there a way to the "
                "internet?)"
            ) from None
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise NpmUnavailableError(f"npm does not give {name}: {' '.join(last)[:300]}") from None
        draft.chmod(0o755)
        draft.rename(kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
