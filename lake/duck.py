"""DuckDB connections that can read the lake: the one place that loads the ``delta`` extension.

The extension comes from the wheel ``duckdb-extension-delta``, which fits one DuckDB version, so
that nothing is fetched at run time. Where that wheel does not fit, DuckDB's own ``INSTALL`` is
tried, which needs the internet.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from lake.errors import QueryError
from lake.tables import Lake

DELTA = "delta"
HTTPFS = "httpfs"


def connect(
    lake: Lake, database: str | Path = ":memory:", *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection in UTC that can ``delta_scan`` the tables of ``lake``.

    Raises:
        QueryError: the database cannot be opened, or the delta extension cannot be loaded.
    """
    try:
        connection = duckdb.connect(str(database), read_only=read_only)
    except duckdb.Error as error:
        raise QueryError(f"DuckDB cannot open {database}: {error}") from error
    prepare(connection, lake)
    return connection


def prepare(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Make a connection that somebody else opened (dbt, a BI tool) fit to read ``lake``.

    Loads ``delta``, sets the time zone to UTC, and for an object store loads ``httpfs`` and turns
    the ``AWS_*`` variables into a DuckDB secret that lives in this connection's memory only.

    Raises:
        QueryError: an extension cannot be loaded.
    """
    if lake.is_remote:
        load_extension(connection, HTTPFS)
        _create_secret(connection, lake)
    load_extension(connection, DELTA)
    connection.execute("SET TimeZone = 'UTC'")


def delta_scan(uri: str, version: int | None = None) -> str:
    """Return the SQL call that reads the Delta table at ``uri``, at its head or at ``version``."""
    at = "" if version is None else f", version => {version}"
    return f"delta_scan({quote_text(uri)}{at})"


def quote_text(text: str) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Return ``name`` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def extension_file(name: str) -> Path | None:
    """Return the extension file of the wheel ``duckdb-extension-<name>``.

    None when the wheel is missing or was built for another DuckDB version.
    """
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    file = folder / f"{name}.duckdb_extension"
    return file if file.is_file() else None


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its wheel, else by ``INSTALL``; loading it twice does no harm.

    Raises:
        QueryError: neither way worked.
    """
    loaded = connection.execute(
        "select loaded from duckdb_extensions() where extension_name = ?", [name]
    ).fetchone()
    if loaded is not None and loaded[0]:
        return
    file = extension_file(name)
    try:
        if file is not None:
            connection.execute(f"LOAD {quote_text(str(file))}")
        else:
            connection.execute(f"INSTALL {name}; LOAD {name}")
    except duckdb.Error as error:
        raise QueryError(
            f"DuckDB {duckdb.__version__} cannot load its extension {name}: {error}",
            hint=f"install the matching wheel: duckdb-extension-{name}=={duckdb.__version__}",
        ) from error


def _create_secret(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Give DuckDB the object store's credentials that deltalake takes from the environment."""
    options: dict[str, str] = {}
    for variable, option in (
        ("AWS_ACCESS_KEY_ID", "KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ("AWS_SESSION_TOKEN", "SESSION_TOKEN"),
    ):
        if os.environ.get(variable):
            options[option] = os.environ[variable]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        options["REGION"] = region
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        options["ENDPOINT"] = parts.netloc or parts.path
        options["USE_SSL"] = "false" if parts.scheme == "http" else "true"
        options["URL_STYLE"] = "path"
    settings = "".join(f", {option} {quote_text(value)}" for option, value in options.items())
    scope = quote_text(lake.root)
    connection.execute(f"CREATE OR REPLACE SECRET lakeward (TYPE s3, SCOPE {scope}{settings})")
