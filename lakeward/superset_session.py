"""One ``lakeward superset up``, from the first package to Ctrl-C; and the sync both share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.settings import IngestSettings
from lake.dbt_run import parse_project
from lake.settings import LakeSettings
from lake.tables import Lake
from orchestration.stack import ports
from orchestration.stack.service import Service
from orchestration.stack.stack import Stack
from serving.catalog import build_catalog, catalog_path
from serving.errors import SupersetAnswerError
from serving.settings import SupersetSettings
from serving.superset.api import SupersetApi, answers
from serving.superset.bundle import render
from serving.superset.definitions import read_definitions
from serving.superset.embedded import (
    HOST,
    SYNC_USER,
    Embedded,
    address_file,
    make_secrets,
    new_password,
    read_secrets,
)
from serving.superset.environment import ensure, usual_folder
from serving.superset.marts import Project, read_project
from serving.superset.sync import SyncResult, sync
from serving.superset.tenants import known_tenants

START_S: Final = 600.0
TEND_S: Final = 0.5


def project_of(settings: LakeSettings) -> Project:
    """Parse dbt's project; no lake needs to be there.

    Raises:
        BuildError: it does not parse.
    """
    return read_project(parse_project(home=settings.home))


def database_uri(catalog: Path) -> str:
    """SQLAlchemy's address of a catalog, read-only."""
    return f"duckdb:///{catalog}?access_mode=read_only"


def sync_to(
    url: str, user: str, password: str, catalog: Path, settings: LakeSettings
) -> SyncResult:
    """Bring the Superset at ``url`` to what definitions, dbt's docs and tenants say.

    Raises:
        LakewardError: a definition is wrong, or Superset does not answer, or refuses.
    """
    bundle = render(read_definitions(), project_of(settings), database_uri(catalog))
    tenants = known_tenants(IngestSettings(), Lake(settings.root))
    return sync(SupersetApi.login(url, user, password), bundle, tenants)


@dataclass(frozen=True, slots=True)
class Target:
    """A Superset to sync, and who does it."""

    url: str
    user: str
    password: str


def sync_target(settings: SupersetSettings, home: Path, url: str | None) -> Target:
    """Return the Superset that is meant: the one named, or the embedded one of ``home``.

    Raises:
        SupersetAnswerError: none is named and none runs, or one is named without a password.
    """
    named = url or settings.superset_url
    if named is not None:
        if settings.superset_password is None:
            raise SupersetAnswerError(
                f"there is no password for Superset at {named}",
                hint="LAKEWARD_SUPERSET_USER and LAKEWARD_SUPERSET_PASSWORD name an administrator",
            )
        return Target(named, settings.superset_user, settings.superset_password.get_secret_value())
    try:
        here = address_file(home).read_text(encoding="utf-8")
    except OSError as error:
        raise SupersetAnswerError(
            f"no Superset runs for {home.resolve()}",
            hint="start one with lakeward superset up, or name yours with --url",
        ) from error
    return Target(here, SYNC_USER, read_secrets(home).sync_password)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a user has to know of a Superset that is up."""

    url: str
    password: str | None
    """Of the administrator, when it was made or asked for just now; it is kept nowhere."""
    synced: SyncResult


class SupersetSession:
    """Installs, prepares, serves, syncs, and serves on until told to stop."""

    def __init__(
        self,
        settings: SupersetSettings,
        lake: LakeSettings,
        *,
        port: int | None,
        new_admin_password: bool,
        say: Callable[[str], None],
        show: Callable[[str, str], None],
    ) -> None:
        """Take the settings, ``say`` for news and ``show(name, line)`` for Superset's warnings."""
        self._settings = settings
        self._lake = lake
        self._port = port
        self._new_admin_password = new_admin_password
        self._say = say
        self._stack = Stack(lake.home / "logs", say=say, show=show)
        self._stop = threading.Event()

    def stop(self) -> None:
        """End; asked a second time, at once. Safe in a signal handler."""
        if self._stop.is_set():
            self._stack.hurry()
        self._stop.set()

    def run(self, opened: Callable[[Opened], None]) -> None:
        """Do all of it; ``opened`` is called once the dashboards can be looked at.

        Raises:
            LakewardError: something that a user can mend.
        """
        lake = Lake(self._lake.root)
        catalog = build_catalog(lake, catalog_path(self._lake.home)).path.resolve()
        embedded = self._installed()
        if self._stop.is_set():
            return
        password = self._prepared(embedded)
        if self._stop.is_set():
            return
        url = f"http://{HOST}:{self._free_port()}"
        self._say(f"starting Superset at {url}")
        try:
            self._stack.start([_service(embedded, url)], interrupted=self._stop.is_set)
            if self._stop.is_set():
                return
            address_file(self._lake.home).write_text(url, encoding="utf-8")
            self._say("importing dashboards")
            sync_password = read_secrets(self._lake.home).sync_password
            synced = sync_to(url, SYNC_USER, sync_password, catalog, self._lake)
            opened(Opened(url, password, synced))
            while not self._stop.wait(TEND_S):
                self._stack.tend()
        finally:
            with suppress(FileNotFoundError):
                address_file(self._lake.home).unlink()
            self._stack.stop_all()

    def _installed(self) -> Embedded:
        folder = self._settings.superset_environment or usual_folder()
        began = time.monotonic()
        environment = ensure(folder, self._settings.superset_python, self._say)
        if (seconds := time.monotonic() - began) > 1:
            self._say(f"  installed in {seconds:.0f} s")
        return Embedded(self._lake.home, self._lake.root, environment)

    def _prepared(self, embedded: Embedded) -> str | None:
        """Bring the metadata up to date; return a new password of the administrator."""
        make_secrets(self._lake.home)
        is_new = not embedded.has_admin() or self._new_admin_password
        if embedded.is_prepared() and not is_new:
            return None
        self._say("preparing Superset's metadata; the first time takes about half a minute")
        password = new_password() if is_new else None
        embedded.prepare(password)
        return password

    def _free_port(self) -> int:
        if self._port is not None:
            return ports.choose(HOST, self._port)
        hint = "Name a free one with --port or LAKEWARD_SUPERSET_PORT."
        return ports.first_free(HOST, self._settings.superset_port, hint)


def _service(embedded: Embedded, url: str) -> Service:
    port = int(url.rpartition(":")[2])
    return Service(
        name="superset",
        what="dashboards",
        command=embedded.command(port),
        is_ready=lambda: answers(url),
        where=url,
        environment=embedded.variables(),
        start_seconds=START_S,
    )
