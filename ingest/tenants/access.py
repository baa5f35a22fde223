"""The way to the registry that the settings name, which need not be there yet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingest.settings import IngestSettings
from ingest.tenants.directory import REFRESH_SECONDS, TenantDirectory
from ingest.tenants.snapshot import Snapshot

if TYPE_CHECKING:
    from ingest.tenants.registry import Registry

FILE: Final = "tenants.db"


def open_registry(settings: IngestSettings) -> Registry:
    """Return the registry; it is made when first something is written to it.

    Raises:
        RegistryError: ``LAKEWARD_TENANT_REGISTRY`` is no address of one.
    """
    from ingest.tenants.database import Database
    from ingest.tenants.registry import Registry

    if settings.tenant_registry is None:
        return Registry(Database(f"sqlite:///{default_file(settings)}"))
    return Registry(Database(settings.tenant_registry.get_secret_value()))


def open_directory(
    settings: IngestSettings,
    refresh_seconds: float | None = REFRESH_SECONDS,
    *,
    max_age_seconds: float = math.inf,
) -> TenantDirectory:
    """Return the directory of the registry, which may also come to be later.

    Args:
        settings: where the registry is.
        refresh_seconds: how often it is read again; None: only by ``reload``.
        max_age_seconds: how old what is known may be before it is too old.

    Raises:
        RegistryError: there is one, and it cannot be read.
    """
    return TenantDirectory(
        RegistryOfSettings(settings),
        refresh_seconds=refresh_seconds,
        max_age_seconds=max_age_seconds,
    )


class RegistryOfSettings:
    """Reads the registry, and takes one that nobody has made yet for one without tenants."""

    def __init__(self, settings: IngestSettings) -> None:
        """Remember where it is or will be; nothing is opened."""
        self._settings = settings
        self._registry: Registry | None = None

    def __call__(self, known: Snapshot | None) -> Snapshot:
        """Return the registry as it is now; ``known`` itself when nothing has changed since.

        Raises:
            RegistryError: it cannot be read.
        """
        if not is_there(self._settings):
            self._registry = None
            return Snapshot(None)
        if self._registry is None:
            self._registry = open_registry(self._settings)
        return self._registry.read(known)


def is_there(settings: IngestSettings) -> bool:
    """True when somebody has made the registry; one that has an address is taken to be there."""
    return settings.tenant_registry is not None or default_file(settings).exists()


def default_file(settings: IngestSettings) -> Path:
    """Return where the registry is when nothing else is said."""
    return settings.home.resolve() / FILE
