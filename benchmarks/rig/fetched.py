"""Programs that only benchmarks need, each in a folder of its own below the cache, fetched once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.rig.progress import say
from tests.kafka_servers.distribution import cache_dir

TIMEOUT_S: Final = 900


def fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    """Return the folder ``name``; ``fetch`` fills it unless it was filled before."""
    folder = cache_dir() / name
    ready = folder / "ready"
    if not ready.exists():
        say(f"fetching {name} (once)")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch(folder)
        ready.touch()
    return folder


def venv(folder: Path, *packages: str) -> None:
    """Make a Python environment at ``folder`` with packages of PyPI."""
    do(sys.executable, "-m", "venv", str(folder))
    do(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)


def do(*command: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: it is not installed, or it failed; with what it said.
    """
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} is not installed, and this benchmark needs it") from None
    except subprocess.CalledProcessError as error:
        said = f"{error.stdout}\n{error.stderr}".strip()[:1500]
        raise RuntimeError(f"{' '.join(command[:5])} failed: {said}") from None
