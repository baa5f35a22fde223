"""The npm packages on this machine: from the cache, or fetched once from npm."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kafka_servers.distribution import cache_dir

PACKAGE = Path(__file__).with_name("package.json")
FETCH_TIMEOUT_S = 240


class SdksUnavailableError(Exception):
    """The libraries cannot run here; the message is one line: why, and how to get them."""


def node_modules() -> Path:
    """Return the folder with the packages, fetching them when needed.

    Raises:
        SdksUnavailableError: Node.js is missing, or npm does not give the packages.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise SdksUnavailableError(
                f"{program} is not installed (on Debian and Ubuntu: apt-get install nodejs npm)"
            )
    wanted = hashlib.sha256(PACKAGE.read_bytes()).hexdigest()[:12]
    folder = cache_dir() / f"segment-sdks-{wanted}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():  # another test run may have fetched them while we waited
                _fetch(folder)
    return folder / "node_modules"


def _fetch(folder: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix="segment-sdks-", dir=folder.parent))
    try:
        shutil.copy(PACKAGE, draft)
        try:
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
                cwd=draft,
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
                check=True,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise SdksUnavailableError(
                f"npm did not deliver Segment's libraries in {FETCH_TIMEOUT_S} s "
                "(is there a way to the internet?)"
            ) from None
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise SdksUnavailableError(
                f"npm does not give Segment's libraries: {' '.join(last)[:300]}"
            ) from None
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
