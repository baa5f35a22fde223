"""Superset's configuration; runs in Superset's own environment, found there by its name.

``SUPERSET_HOME`` is the folder of the metadata database and of ``secrets.json``. Everything that is
not said here is Superset's default.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import lake_connections
import yaml
from flask import request, session

_HOME = Path(os.environ["SUPERSET_HOME"])
_SECRETS = json.loads((_HOME / "secrets.json").read_text(encoding="utf-8"))
_STYLE = yaml.safe_load(
    (Path(__file__).parents[1] / "definitions" / "style.yaml").read_text(encoding="utf-8")
)

APP_NAME = "lakeward"
SECRET_KEY: str = _SECRETS["secret_key"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}?timeout=30"
SQLALCHEMY_ENGINE_OPTIONS: dict[str, Any] = {}

# A chart asks the lake each time: what is shown is never older than the table.
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}

# A palette of its own, so that a channel or a contract has one colour everywhere.
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "lakeward",
        "label": "lakeward",
        "description": "The colours of lakeward's dashboards",
        "isDefault": True,
        "colors": _STYLE["palette"],
    }
]

EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "lakeward_sequential",
        "label": "lakeward",
        "description": "From little to much",
        "isDiverging": False,
        "isDefault": True,
        "colors": _STYLE["sequential"],
    }
]

# The embedded Superset listens on this machine alone and without TLS, so a cookie that wants TLS
# would lock everybody out. Behind a proxy that ends TLS, LAKEWARD_SUPERSET_TLS=1.
_TLS = os.environ.get("LAKEWARD_SUPERSET_TLS", "0") not in ("", "0")
SESSION_COOKIE_SECURE = _TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
ENABLE_PROXY_FIX = _TLS
WTF_CSRF_ENABLED = True

# Nobody may look without a login, and an SQL expression in a chart may not read another table.
AUTH_ROLE_PUBLIC = ""
FEATURE_FLAGS = {
    "ALLOW_ADHOC_SUBQUERY": False,
    "CHART_PLUGINS_EXPERIMENTAL": True,  # the number beside that of the period before
    "DRILL_TO_DETAIL": True,
    "DRILL_BY": True,
}
FAB_ADD_SECURITY_API = True  # `lakeward superset sync` makes the tenants' roles by it

SQL_MAX_ROW = 100_000
ROW_LIMIT = 50_000
SUPERSET_WEBSERVER_TIMEOUT = 120


def _without_lost_logins(app: Any) -> None:
    """Have the login page's own report of itself touch no session.

    About a second after it opens, that page posts to ``/superset/log/``. Nobody is logged in, so
    Superset answers with "Access is Denied", kept for the next page in the session's cookie. When
    the answer comes after that of a login made meanwhile, the cookie from before is back, and who
    has just logged in is asked to log in again.
    """

    def answer() -> tuple[str, int] | None:
        is_report = request.path == "/superset/log/" and "_user_id" not in session
        return ("", 204) if is_report else None

    app.before_request(answer)


FLASK_APP_MUTATOR = _without_lost_logins

lake_connections.guard(lake_root=os.environ["LAKEWARD_LAKE_ROOT"], spill=_HOME / "spill")
