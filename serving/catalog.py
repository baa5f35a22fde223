"""The file that BI tools open: a DuckDB database of views on the lake's Delta tables.

It holds no data, so readers never wait for a build and never block one: a view reads the Delta
table's head each time it is asked (ADR 051). The file itself is replaced, in one rename, only when
the list of views changes, or the moment from which the live views look at bronze (ADR 053);
whoever has the old file open goes on reading the same tables.

A tenant's catalog has views of its own rows only, or, as a copy, the rows themselves. ADR 056 says
which of the two keeps somebody from seeing more. It has no live views.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
from deltalake.exceptions import DeltaError

from lake.duck import DELTA, HTTPFS, connect, delta_scan, extension_file, quote_name, quote_text
from lake.errors import LakePathError, QueryError
from lake.live import define_live_views
from lake.tables import LAYERS, Lake, Layer
from lake.tenant_share import TenantShare

logger = logging.getLogger(__name__)

_VIEWS = """
    select schema_name, view_name, sql, comment from duckdb_views() where not internal
    union all
    select schema_name, table_name, sql, comment from duckdb_tables() where not internal
    order by all
"""


@dataclass(frozen=True, slots=True)
class CatalogResult:
    """What a build of the catalog did."""

    path: Path
    tables: int
    """Views in the catalog; tables in a copy."""
    is_changed: bool
    """False when the file had these very views and was left alone."""
    left_out: tuple[str, ...]
    """Tables that could not be read, as ``<layer>.<table>: reason``."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A table of the catalog, and the SQL that reads it."""

    layer: Layer
    name: str
    sql: str


def catalog_path(home: Path) -> Path:
    """Where the catalog of a lakeward home is."""
    return home / "serving" / "catalog.duckdb"


def tenant_catalog_path(home: Path, tenant_id: str) -> Path:
    """Where the catalog of a tenant is, unless it is put elsewhere."""
    return home / "serving" / "tenants" / f"{quote(tenant_id, safe='')}.duckdb"


def is_copy(path: Path) -> bool:
    """Tell whether a catalog holds rows, not views: it must not become one that shows the way."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("select 1 from duckdb_tables() where not internal limit 1")
        return found.fetchone() is not None


def forget_tenant(home: Path, tenant_id: str) -> bool:
    """Delete the catalog of a tenant, where it usually is; False when there is none.

    Raises:
        LakePathError: it cannot be deleted.
    """
    path = tenant_catalog_path(home, tenant_id)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LakePathError(f"the catalog {path} cannot be deleted: {error}") from error
    return True


def build_catalog(
    lake: Lake, path: Path, share: TenantShare | None = None, *, copy: bool = False
) -> CatalogResult:
    """Make ``path`` hold one view ``<layer>.<table>`` for each readable table of ``lake``.

    Args:
        lake: which lake.
        path: the file.
        share: what one tenant may see; None: everything.
        copy: hold the rows as they are now, instead of views that read them each time. The file
            then needs neither the lake nor an extension, and is replaced each time.

    Raises:
        LakePathError: the folder of ``path`` cannot be written.
        QueryError: DuckDB or its delta extension cannot be started.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=path.parent) as folder:
            beside = Path(folder) / path.name
            left_out = _write(lake, beside, list(_entries(lake, share)), copy=copy)
            left_out += tuple(
                f"{one.layer}.{one.name}: {one.reason}"
                for one in (share.not_shared if share else ())
            )
            if share is None and not copy:
                with connect(lake, beside) as connection:
                    left_out += tuple(define_live_views(lake, connection)[1])
            wanted = _read_views(beside) or []
            is_changed = copy or not path.exists() or _read_views(path) != wanted
            if is_changed:
                os.replace(beside, path)
    except OSError as error:
        raise LakePathError(
            f"the catalog {path} cannot be written: {error}",
            hint="LAKEWARD_HOME says where it is kept",
        ) from error
    logger.info(
        "catalog built", extra={"path": str(path), "views": len(wanted), "changed": is_changed}
    )
    return CatalogResult(path, len(wanted), is_changed, left_out)


def install_extensions(lake: Lake, folder: Path | None = None) -> list[Path]:
    """Copy the extensions that the views need to where DuckDB looks for them by itself.

    After that ``duckdb.connect("catalog.duckdb", read_only=True)`` works without internet, for
    programs with the same DuckDB version. ``folder`` is DuckDB's ``extension_directory``; default
    ``~/.duckdb/extensions``.

    Raises:
        QueryError: an extension's wheel is not installed for this DuckDB version.
        LakePathError: the folder cannot be written.
    """
    row = duckdb.connect().execute("select platform from pragma_platform()").fetchone()
    assert row is not None
    root = folder or Path.home() / ".duckdb" / "extensions"
    target = root / f"v{duckdb.__version__}" / str(row[0])
    copied = []
    for name in (DELTA, HTTPFS) if lake.is_remote else (DELTA,):
        source = extension_file(name)
        if source is None:
            raise QueryError(
                f"there is no extension {name} for DuckDB {duckdb.__version__} here",
                hint=f"install the wheel duckdb-extension-{name}=={duckdb.__version__}",
            )
        try:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / f".{source.name}.{os.getpid()}")
            os.replace(target / f".{source.name}.{os.getpid()}", target / source.name)
        except OSError as error:
            raise LakePathError(f"{target} cannot be written: {error}") from error
        copied.append(target / source.name)
    return copied


def _entries(lake: Lake, share: TenantShare | None) -> Iterator[_Entry]:
    """Yield each table and the SQL that reads it."""
    if share is None:
        for layer in LAYERS:
            for name in lake.names(layer):
                yield _Entry(layer, name, f"from {delta_scan(lake.uri(layer, name))}")
        return
    for table in share.tables:
        scan = delta_scan(lake.uri(table.layer, table.name))
        yield _Entry(table.layer, table.name, share.select(table, scan))


def _write(lake: Lake, path: Path, entries: Sequence[_Entry], *, copy: bool) -> tuple[str, ...]:
    left_out = []
    kind = "table" if copy else "view"
    with connect(lake, path) as connection:
        for layer in LAYERS:
            connection.execute(f"create schema {quote_name(layer)}")
        for entry in entries:
            name = f"{quote_name(entry.layer)}.{quote_name(entry.name)}"
            try:
                about = lake.open(entry.layer, entry.name).metadata().description
                connection.execute(f"create {kind} {name} as {entry.sql}")
            except (duckdb.Error, DeltaError) as error:
                left_out.append(f"{entry.layer}.{entry.name}: {str(error).strip().splitlines()[0]}")
                continue
            if about:
                connection.execute(f"comment on {kind} {name} is {quote_text(about)}")
    return tuple(left_out)


def _read_views(path: Path) -> list[tuple[str, str, str, str | None]] | None:
    """Return the definitions in a catalog file; None when it is no such file."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(_VIEWS).fetchall()
    except duckdb.Error:
        logger.warning("catalog unreadable, it is replaced", extra={"path": str(path)})
        return None
