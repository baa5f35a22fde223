"""What happens to each DuckDB connection of Superset before the first query.

The twin of ``lake/duck.py`` in Superset's environment, which has neither deltalake nor lakeward: it
loads the extensions from their wheels, without the internet, and sets UTC. Then it closes the door:
SQL reads the files of the lake and no others, and no query may change a setting back.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import event
from sqlalchemy.engine import Engine

_one_at_a_time = threading.Lock()
"""Connections of one process to one file share a DuckDB instance, and with it all settings."""


def guard(*, lake_root: str, spill: Path) -> None:
    """Have every DuckDB connection of this process prepared; ``spill`` is for what exceeds RAM."""

    @event.listens_for(Engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        if type(connection).__module__.partition(".")[0] != "duckdb_engine":
            return  # Superset's own metadata
        cursor = connection.cursor()
        with _one_at_a_time:
            cursor.execute("select current_setting('lock_configuration')")
            if not cursor.fetchone()[0]:
                for statement in statements(lake_root, spill):
                    cursor.execute(statement)
        cursor.close()


def statements(lake_root: str, spill: Path) -> list[str]:
    """Return what prepares a DuckDB instance, in order."""
    is_remote = "://" in lake_root
    found = [load(name) for name in (("httpfs", "delta") if is_remote else ("delta",))]
    if is_remote:
        found.append(secret(lake_root))
    return [
        *found,
        "set TimeZone = 'UTC'",
        f"set temp_directory = {quoted(str(spill))}",
        f"set allowed_directories = [{quoted(lake_root.rstrip('/') + '/')}]",
        "set enable_external_access = false",
        "set lock_configuration = true",
    ]


def load(name: str) -> str:
    """Return the statement that loads an extension from its wheel."""
    import duckdb

    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        return f"load {name}"  # DuckDB says where it looked, and how to install it
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return f"load {quoted(str(folder / f'{name}.duckdb_extension'))}"


def secret(lake_root: str) -> str:
    """Return the statement that gives DuckDB the credentials of ``AWS_*``, in memory only."""
    options = {
        option: os.environ[variable]
        for variable, option in (
            ("AWS_ACCESS_KEY_ID", "key_id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "session_token"),
            ("AWS_REGION", "region"),
        )
        if os.environ.get(variable)
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        options["endpoint"] = parts.netloc or parts.path
        options["use_ssl"] = "false" if parts.scheme == "http" else "true"
        options["url_style"] = "path"
    given = "".join(f", {option} {quoted(value)}" for option, value in options.items())
    return f"create or replace secret lakeward (type s3, scope {quoted(lake_root)}{given})"


def quoted(text: str) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
