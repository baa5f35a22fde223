"""Serve Superset in a container: secrets, metadata, the administrator, and then the server.

What ``lakeward superset up`` does from outside: ``serve.py ADDRESS:PORT``. The administrator, who
also syncs, is ``LAKEWARD_SUPERSET_USER`` with ``LAKEWARD_SUPERSET_PASSWORD``; the key of the
sessions is made once, into a file that only its owner can read.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path


def main(address: str) -> None:
    """Prepare, and become the server on ``address``."""
    home = Path(os.environ["SUPERSET_HOME"])
    user = os.environ.get("LAKEWARD_SUPERSET_USER") or "lakeward"
    password = os.environ.get("LAKEWARD_SUPERSET_PASSWORD")
    if not password:
        sys.exit("set LAKEWARD_SUPERSET_PASSWORD in .env: the administrator's password")
    _make_secrets(home / "secrets.json")
    prepared = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, str(Path(__file__).with_name("prepare.py"))],
        input=json.dumps({"users": [{"username": user, "password": password}]}),
        text=True,
        check=False,
    )
    if prepared.returncode != 0:
        sys.exit("Superset's metadata cannot be prepared: what it said stands above")
    del os.environ["LAKEWARD_SUPERSET_PASSWORD"]
    command = [sys.executable, "-m", "gunicorn", "--bind", address, "--workers", "2"]
    command += ["--worker-class", "gthread", "--threads", "12", "--timeout", "300"]
    command += ["--worker-tmp-dir", "/dev/shm"]  # noqa: S108 - gunicorn's own heartbeat
    os.execv(  # noqa: S606 - our own words
        sys.executable, [*command, "--no-control-socket", "superset.app:create_app()"]
    )


def _make_secrets(kept: Path) -> None:
    """Make the file unless it is there; one that a kill left half written is none."""
    if kept.exists():
        return
    draft = kept.with_name(".secrets.json")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"secret_key": secrets.token_urlsafe(48)}, file)
    draft.replace(kept)


if __name__ == "__main__":
    main(sys.argv[1])
