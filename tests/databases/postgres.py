"""A real PostgreSQL, reached by a Unix socket: no port is taken."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg

START_TIMEOUT_S: Final = 240
DEBIAN: Final = Path("/usr/lib/postgresql")
SERVER_USER: Final = "postgres"


class PostgresUnavailableError(Exception):
    """PostgreSQL cannot run here; the message is one line: why, and how to get it."""


class Postgres:
    """One server with its data in a folder of its own, which goes when the block is left."""

    def __init__(self) -> None:
        """Find the programs.

        Raises:
            PostgresUnavailableError: they are not installed, or may not run.
        """
        self._programs = _programs()
        self._identity = _identity()
        self._folder = Path()

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql://{SERVER_USER}@/{database}?host={self._folder}"

    def make_database(self, name: str) -> str:
        """Make an empty database, and return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
        return self.url(name)

    def start(self) -> None:
        """Start it, on the data it left, and return when it answers."""
        self._run("pg_ctl", "start", "-w", f"--timeout={START_TIMEOUT_S}", "--silent",
                  f"--pgdata={self._folder}/data", f"--log={self._folder}/log",
                  f"--options=-c listen_addresses= -c unix_socket_directories={self._folder} "
                  "-c fsync=off -c max_connections=60")  # fmt: skip

    def stop(self) -> None:
        """End it at once; connections break."""
        self._run("pg_ctl", "stop", "-w", "--mode=immediate", "--silent",
                  f"--pgdata={self._folder}/data")  # fmt: skip

    def __enter__(self) -> Self:
        # below /tmp, since a socket's path is short, and the server's user may not enter others
        self._folder = Path(tempfile.mkdtemp(prefix="lakeward-pg-", dir="/tmp"))
        try:
            if self._identity:
                shutil.chown(self._folder, self._identity["user"], self._identity["group"])
            self._run("initdb", f"--pgdata={self._folder}/data", f"--username={SERVER_USER}",
                      "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")  # fmt: skip
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
            **self._identity,
        )
        if done.returncode != 0:
            log = self._folder / "log"
            said = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{program} failed:\n{done.stderr}\n{said}")


def _programs() -> Path:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not debian:
        raise PostgresUnavailableError(
            "PostgreSQL is not installed (on Debian and Ubuntu: apt-get install postgresql)"
        )
    return debian[-1].parent


def _identity() -> dict[str, Any]:
    """Return who the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise PostgresUnavailableError(
            f"PostgreSQL does not run as root, and there is no user {SERVER_USER!r} to run it as"
        ) from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
