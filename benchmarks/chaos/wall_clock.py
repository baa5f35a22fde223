"""A wall clock of one process's own, which may jump; see ``clock.c``."""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class NoClockError(Exception):
    """A clock that jumps cannot be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """What a process started with ``environment`` takes for the time of day."""

    library: Path
    file: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that give a process this clock."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    def shift(self, seconds: int) -> None:
        """Put the clock ahead of the machine's by so many seconds, at once."""
        with self.file.open("r+b" if self.file.exists() else "w+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))


def build(folder: Path) -> Path:
    """Compile the library into ``folder`` and return its path.

    Raises:
        NoClockError: no Linux with glibc, or no C compiler.
    """
    if platform.libc_ver()[0] != "glibc":
        raise NoClockError("only Linux with glibc can give a process a clock of its own")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoClockError("there is no C compiler (on Debian and Ubuntu: apt-get install gcc)")
    library = folder / "chaos-clock.so"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoClockError(f"clock.c does not compile: {done.stderr.strip().splitlines()[-1]}")
    return library
