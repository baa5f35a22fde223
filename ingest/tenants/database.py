"""The registry's database: where it is, how it is opened, and that its tables are up to date.

SQLite is brought up to date whenever it is opened: one machine, one release. PostgreSQL is shared
by processes of several releases and rights, so that is left to who asks for it (``migrate``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from ingest.errors import RegistryError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSION_TABLE: Final = "registry_version"
CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 10
MIGRATION_LOCK: Final = 7_126_404_811
"""PostgreSQL's advisory lock that a migration holds, so that two do not meet; chosen at random."""

POSTGRESQL: Final = "postgresql"
SQLITE: Final = "sqlite"


class Database:
    """One registry's database. No connection is made before the first use."""

    def __init__(self, url: str) -> None:
        """Take its address, ``sqlite:///file`` or ``postgresql://user@host/database``.

        Raises:
            RegistryError: it is no such address.
        """
        self._url = _parsed(url)
        self._engine = _engine(self._url)
        self._is_current = False

    @property
    def address(self) -> str:
        """Where it is, without a password."""
        url = self._url.set(drivername=self._url.get_backend_name())
        return url.render_as_string(hide_password=True)

    @property
    def is_postgresql(self) -> bool:
        """True when it is a PostgreSQL server, else it is a file of SQLite."""
        return self._url.get_backend_name() == POSTGRESQL

    @property
    def file(self) -> Path | None:
        """The file of SQLite."""
        return None if self.is_postgresql or not self._url.database else Path(self._url.database)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state and changes nothing.

        Raises:
            RegistryError: the database cannot be reached or is of another release.
        """
        self._require_current()
        with self._explained(), self._engine.connect() as connection:
            if self.is_postgresql:
                connection.execute(text("set transaction isolation level repeatable read"))
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, and undone when an error ends it.

        Raises:
            RegistryError: the database cannot be reached or is of another release.
        """
        self._require_current()
        with self._explained(), self._for_writing() as connection:
            yield connection

    def migrate(self) -> list[str]:
        """Bring the tables up to date; return the steps that were taken.

        Raises:
            RegistryError: the database cannot be reached, or a newer release has changed it.
        """
        with self._explained():
            if self.file is not None:
                _make_private(self.file)
            with self._for_writing() as connection:
                if self.is_postgresql:
                    lock = text("select pg_advisory_xact_lock(:number)")
                    connection.execute(lock, {"number": MIGRATION_LOCK})
                steps = self._missing(connection)
                if steps:
                    config = Config()
                    config.set_main_option("script_location", str(MIGRATIONS))
                    config.attributes["connection"] = connection
                    command.upgrade(config, "head")
        self._is_current = True
        return steps

    @contextmanager
    def _for_writing(self) -> Iterator[Connection]:
        with self._engine.execution_options(lakeward_writes=True).begin() as connection:
            yield connection

    def _require_current(self) -> None:
        if self._is_current:
            return
        with self._explained():
            if self.file is not None:
                _make_private(self.file)
            with self._engine.connect() as connection:
                steps = self._missing(connection)
        if steps and not self.is_postgresql:
            self.migrate()
        elif steps:
            raise RegistryError(
                f"the tables of {self.address} are not there or of an older release; missing "
                f"steps: {', '.join(steps)}",
                hint="Run `lakeward tenant migrate` with a user who may make tables.",
            )
        self._is_current = True

    def _missing(self, connection: Connection) -> list[str]:
        """Return the steps that lie between the tables and this release."""
        script = ScriptDirectory(str(MIGRATIONS))
        known = [one.revision for one in reversed(list(script.walk_revisions()))]
        options = {"version_table": VERSION_TABLE}
        current = MigrationContext.configure(connection, opts=options).get_current_revision()
        if current is None:
            return known
        if current not in known:
            raise RegistryError(
                f"{self.address} was changed by a newer release of lakeward (step {current}, "
                f"and this one knows {known[-1]})",
                hint="Use that release everywhere.",
            )
        return known[known.index(current) + 1 :]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise RegistryError(
                f"the registry of tenants at {self.address} cannot be used: {_why(error)}",
                hint="LAKEWARD_TENANT_REGISTRY says where it is; unset, it is <home>/tenants.db.",
            ) from error


def _parsed(text: str) -> URL:
    hint = (
        "LAKEWARD_TENANT_REGISTRY is postgresql://user@host/database or sqlite:///path/to/file; a "
        "password may stand in the file that PGPASSFILE names."
    )
    try:
        url = make_url(text)
    except ArgumentError:
        raise RegistryError("LAKEWARD_TENANT_REGISTRY is no address", hint=hint) from None
    if url.get_backend_name() == POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == SQLITE and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    raise RegistryError(
        f"LAKEWARD_TENANT_REGISTRY names {url.drivername!r}, which cannot be the registry",
        hint=hint,
    )


def _engine(url: URL) -> Engine:
    """Return an engine that connects anew each time: nobody asks more than once in a second."""
    if url.get_backend_name() == POSTGRESQL:
        return create_engine(
            url,
            poolclass=NullPool,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                # a server that was cut off is noticed, instead of being waited for for minutes
                "tcp_user_timeout": STATEMENT_SECONDS * 1000,
                "options": f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c timezone=UTC",
                "application_name": "lakeward",
            },
        )
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": STATEMENT_SECONDS})
    event.listen(engine, "connect", _take_over_transactions)
    event.listen(engine, "begin", _begin)
    return engine


def _take_over_transactions(connection: sqlite3.Connection, _: object) -> None:
    """Keep the driver from opening transactions by itself, which it does not do for DDL."""
    connection.isolation_level = None
    connection.execute("pragma foreign_keys = on")


def _begin(connection: Connection) -> None:
    """Take the lock at once to write: a transaction that upgrades from reading may fail."""
    writes = connection.get_execution_options().get("lakeward_writes", False)
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _make_private(file: Path) -> None:
    """Make the file, which nobody else of this machine may read."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)


def _why(error: Exception) -> str:
    """Return the driver's words in one line, without the statement and its values."""
    cause: Any = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__
