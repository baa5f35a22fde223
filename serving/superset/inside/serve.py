"""Serve Superset in a container: secrets, metadata, the administrator, and then the server.

What ``lakeward superset up`` does from outside. The administrator, who also syncs, is
``LAKEWARD_SUPERSET_USER`` with ``LAKEWARD_SUPERSET_PASSWORD``; the key of the sessions is made
once, into a file that only its owner can read.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

ADDRESS = "0.0.0.0:8088"


def main() -> None:
    """Prepare, and become the server."""
    home = Path(os.environ["SUPERSET_HOME"])
    user = os.environ.get("LAKEWARD_SUPERSET_USER") or "lakeward"
    password = os.environ.get("LAKEWARD_SUPERSET_PASSWORD")
    if not password:
        sys.exit("set LAKEWARD_SUPERSET_PASSWORD in .env: the administrator's password")
    kept = home / "secrets.json"
    if not kept.exists():
        with os.fdopen(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"secret_key": secrets.token_urlsafe(48)}, file)
    subprocess.run(  # noqa: S603 - our own words
        [sys.executable, str(Path(__file__).with_name("prepare.py"))],
        input=json.dumps({"users": [{"username": user, "password": password}]}),
        text=True,
        check=True,
    )
    del os.environ["LAKEWARD_SUPERSET_PASSWORD"]
    command = [sys.executable, "-m", "gunicorn", "--bind", ADDRESS, "--workers", "2"]
    command += ["--worker-class", "gthread", "--threads", "12", "--timeout", "300"]
    command += ["--worker-tmp-dir", "/dev/shm"]  # noqa: S108 - gunicorn's own heartbeat
    os.execv(  # noqa: S606 - our own words
        sys.executable, [*command, "--no-control-socket", "superset.app:create_app()"]
    )


if __name__ == "__main__":
    main()
