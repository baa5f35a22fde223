"""A Superset of this machine: its folder, its secrets, its users, and the command that serves it.

Everything is in ``<home>/superset``: the metadata in SQLite, and ``secrets.json``, which only its
owner can read. It holds the key that signs sessions and the password of the account that syncs;
whoever reads the first could be anybody there, so the second gives nothing more away.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.errors import SupersetEnvironmentError
from serving.superset.environment import INSIDE, LOCK, SupersetEnvironment

ADMIN: Final = "admin"
SYNC_USER: Final = "lakeward"
HOST: Final = "127.0.0.1"
THREADS: Final = 12
_PREPARED: Final = ".prepared"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What ``secrets.json`` holds."""

    secret_key: str
    sync_password: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """The Superset of one lakeward home."""

    home: Path
    lake_root: str
    environment: SupersetEnvironment

    @property
    def folder(self) -> Path:
        """Where it keeps everything."""
        return superset_folder(self.home)

    def variables(self) -> dict[str, str]:
        """The environment of its processes, besides that of this one."""
        return {
            "SUPERSET_HOME": str(self.folder.resolve()),
            "LAKEWARD_LAKE_ROOT": self.lake_root,
            "PYTHONPATH": str(INSIDE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "FLASK_APP": "superset.app:create_app()",
            "TZ": "UTC",  # what "now" and "today" mean in a range of time
        }

    def is_prepared(self) -> bool:
        """True when its metadata are those of this lock file's Superset."""
        return self._prepared_for() == LOCK.read_text(encoding="utf-8")

    def has_admin(self) -> bool:
        """True when the administrator was made."""
        return self._prepared_for() is not None

    def prepare(self, admin_password: str | None) -> None:
        """Bring metadata, roles and users up to date; can be done again at any time.

        Args:
            admin_password: for the administrator; None leaves the one that there is alone.

        Raises:
            SupersetEnvironmentError: it fails; the message has the last lines of Superset's words.
        """
        users = {SYNC_USER: read_secrets(self.home).sync_password}
        if admin_password is not None:
            users[ADMIN] = admin_password
        said = [{"username": name, "password": password} for name, password in users.items()]
        done = subprocess.run(  # noqa: S603 - our own words
            [str(self.environment.python), str(INSIDE / "prepare.py")],
            input=json.dumps({"users": said}),
            env={**os.environ, **self.variables()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = "\n  ".join(done.stderr.strip().splitlines()[-8:])
            raise SupersetEnvironmentError(f"Superset's metadata cannot be prepared:\n  {last}")
        (self.folder / _PREPARED).write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")

    def _prepared_for(self) -> str | None:
        try:
            return (self.folder / _PREPARED).read_text(encoding="utf-8")
        except OSError:
            return None

    def command(self, port: int) -> tuple[str, ...]:
        """Return the command that serves it on ``port`` of this machine."""
        return (
            *(str(self.environment.python), "-m", "gunicorn", "--bind", f"{HOST}:{port}"),
            *("--worker-class", "gthread", "--threads", str(THREADS), "--timeout", "300"),
            *("--no-control-socket", "superset.app:create_app()"),
        )


def superset_folder(home: Path) -> Path:
    """Where the Superset of a home keeps everything."""
    return home / "superset"


def make_secrets(home: Path) -> None:
    """Make ``secrets.json`` unless it is there; only its owner may read it.

    Raises:
        SupersetEnvironmentError: it cannot be written.
    """
    folder = superset_folder(home)
    path = folder / "secrets.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if path.exists():
            return
        made = {"secret_key": secrets.token_urlsafe(48), "sync_password": new_password()}
        draft = folder / ".secrets.json"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump(made, file)
        draft.replace(path)
    except OSError as error:
        raise SupersetEnvironmentError(f"{path} cannot be written: {error}") from error


def read_secrets(home: Path) -> Secrets:
    """Return the secrets of a home.

    Raises:
        SupersetEnvironmentError: there is no Superset in this home, or the file is damaged.
    """
    path = superset_folder(home) / "secrets.json"
    try:
        said: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return Secrets(said["secret_key"], said["sync_password"])
    except (OSError, ValueError, KeyError) as error:
        raise SupersetEnvironmentError(
            f"{path} cannot be read: {error}", hint="lakeward superset up makes it"
        ) from error


def new_password() -> str:
    """Return a password that nobody guesses."""
    return secrets.token_urlsafe(15)


def address_file(home: Path) -> Path:
    """Where a running ``lakeward superset up`` says its address, for a sync from elsewhere."""
    return superset_folder(home) / "address"
