"""Whose events a writer takes: those that the settings name, or the registry's active ones."""

from __future__ import annotations

from collections.abc import Callable

from ingest.settings import IngestSettings
from ingest.tenants.access import open_directory
from lake.settings import LakeSettings

KnownTenants = Callable[[], frozenset[str] | None]
"""Returns the known tenants as they are now; None: every tenant is known."""


def known_tenants(ingest: IngestSettings, settings: LakeSettings) -> KnownTenants:
    """Return the way to ask for the known tenants, which may change while the writer runs.

    Each time it is asked it looks into the registry, which costs one small query where nothing has
    changed, and raises ``RegistryError`` while that cannot be reached: whoever asks then goes on
    with what it was told before.

    Raises:
        RegistryError: there is a registry and it cannot be read. The writer cannot begin: it
            would know nobody, and turn everybody's events into dead letters, or take everybody's.
    """
    if settings.tenants is not None:
        named = frozenset(name.strip() for name in settings.tenants.split(",") if name.strip())
        return lambda: named
    directory = open_directory(ingest, refresh_seconds=None)

    def ask() -> frozenset[str] | None:
        directory.reload()
        return directory.known_tenants()

    return ask
