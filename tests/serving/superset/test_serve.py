"""What starts Superset in its container, with stand-ins for Superset and its server.

``test_superset.py`` starts the real ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.superset.environment import INSIDE

ROOT = Path(__file__).parents[3]
PASSWORD = "a-password-of-nobody"
PREPARE = """
import os, pathlib, sys
home = pathlib.Path(os.environ["SUPERSET_HOME"])
assert (home / "secrets.json").exists(), "the configuration reads it"
(home / "users.json").write_text(sys.stdin.read())
sys.exit(os.environ.get("FAILS"))
"""
GUNICORN = """
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "variables": dict(os.environ), "pid": os.getpid()}))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for Superset, beside ``serve.py`` and the stand-ins."""
    shutil.copy(INSIDE / "serve.py", tmp_path)
    (tmp_path / "prepare.py").write_text(PREPARE)
    (tmp_path / "gunicorn.py").write_text(GUNICORN)
    made = tmp_path / "superset"
    made.mkdir()
    return made


def serve(home: Path, **variables: str) -> tuple[subprocess.Popen[str], str, str]:
    """Run it to its end; return the process, what it wrote, and its complaints."""
    process = subprocess.Popen(
        [sys.executable, str(home.parent / "serve.py"), "0.0.0.0:8088"],
        cwd=home.parent,
        env={**os.environ, "SUPERSET_HOME": str(home), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, *process.communicate(timeout=60)


def served(home: Path, **variables: str) -> dict[str, Any]:
    """Return what the server was given."""
    process, said, complaints = serve(home, LAKEWARD_SUPERSET_PASSWORD=PASSWORD, **variables)
    assert process.returncode == 0, complaints
    told: dict[str, Any] = json.loads(said)
    assert told["pid"] == process.pid, "it is the server now, and gets the container's signals"
    return told


def test_it_becomes_the_server_which_never_sees_the_password(home: Path) -> None:
    told = served(home)
    assert told["words"][-1] == "superset.app:create_app()"
    assert told["words"][told["words"].index("--bind") + 1] == "0.0.0.0:8088"
    assert PASSWORD not in json.dumps(told)
    users = json.loads((home / "users.json").read_text())["users"]
    assert users == [{"username": "lakeward", "password": PASSWORD}]
    served(home, LAKEWARD_SUPERSET_USER="ann")
    assert json.loads((home / "users.json").read_text())["users"][0]["username"] == "ann"


def test_the_key_of_the_sessions_is_made_once_and_for_its_owner_alone(home: Path) -> None:
    (home / ".secrets.json").write_text("")  # of a start that was killed
    served(home)
    kept = home / "secrets.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = kept.read_text()
    assert len(json.loads(first)["secret_key"]) > 40
    served(home)
    assert kept.read_text() == first
    assert sorted(path.name for path in home.iterdir()) == ["secrets.json", "users.json"]


def test_without_a_password_or_metadata_no_server_is_started(home: Path) -> None:
    process, said, complaints = serve(home, LAKEWARD_SUPERSET_PASSWORD="")
    assert (process.returncode, said) == (1, "")
    assert complaints.startswith("set LAKEWARD_SUPERSET_PASSWORD in .env")
    assert list(home.iterdir()) == []
    given = {"LAKEWARD_SUPERSET_PASSWORD": PASSWORD, "FAILS": "no database"}
    process, said, complaints = serve(home, **given)
    assert (process.returncode, said) == (1, "")
    assert complaints.splitlines()[0] == "no database"
    assert "metadata cannot be prepared" in complaints
    assert PASSWORD not in complaints


def test_the_image_starts_it_where_the_compose_file_asks() -> None:
    image = (ROOT / "docker/superset/Dockerfile").read_text()
    command = re.search(r"^CMD (.*)$", image, re.MULTILINE)
    assert command is not None
    assert json.loads(command[1]) == [
        *("python", "/opt/serving/superset/inside/serve.py", "0.0.0.0:8088"),
    ]
