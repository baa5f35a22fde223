"""Handles on Delta tables that are used again, because opening a table is what schedules wait for.

Opening reads the whole log. A handle that nobody holds any more reads only what came since, and
then knows the same. One schedule in eight opens every table anew all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from deltalake import DeltaTable

import lake.journal
import lake.tables
import lake.writer.target


class Handles:
    """What one schedule has opened and let go of."""

    def __init__(self) -> None:
        self.is_lending = True
        """False: every table is opened anew."""
        self._free: dict[str, list[Any]] = defaultdict(list)
        self._known: dict[tuple[str, int], dict[Any, Any]] = defaultdict(dict)
        self.tables: set[str] = set()
        """Where there is a table; none is ever taken away."""

    def take(self, uri: str) -> Any:
        """Return delta-rs's part of a handle, at the head; None where there is none to lend."""
        if not self.is_lending or not self._free[uri]:
            return None
        raw = self._free[uri].pop()
        raw.update_incremental()
        return raw

    def give_back(self, uri: str, raw: Any) -> None:
        """Keep what was lent, or opened."""
        if self.is_lending:
            self._free[uri].append(raw)

    def known_at(self, uri: str, version: int) -> dict[Any, Any]:
        """Answers that were given at a version of a table; they never change."""
        return self._known[uri, version] if self.is_lending else {}

    def forget_all(self) -> None:
        """The log was cut at its begin: lend nothing that may be from before."""
        self._free.clear()

    def forget_version(self, uri: str, version: int) -> None:
        """A log entry was taken away: what came from it must not be used."""
        self._known.pop((uri, version), None)


class LentTable(DeltaTable):
    """A ``DeltaTable`` that gives its inner part back when nobody holds it any more."""

    handles: Handles
    is_sound = True
    """False: the log entry that it knows last was taken away."""

    def __init__(self, table_uri: Any, version: int | None = None, **options: Any) -> None:
        self._uri = str(table_uri)
        raw = self.handles.take(self._uri) if version is None else None
        if raw is None:
            super().__init__(table_uri, version, **options)
        else:
            self._storage_options, self._table = options.get("storage_options"), raw

    def __del__(self) -> None:
        raw = getattr(self, "_table", None)
        if raw is not None and self.is_sound:
            self.handles.give_back(self._uri, raw)

    def spoil(self) -> None:
        """Say that what this handle knows last is no longer so."""
        self.is_sound = False
        self.handles.forget_version(self._uri, self.version())

    def transaction_version(self, app_id: str) -> int | None:
        """Return what delta-rs says, or said of the same version before."""
        known = self.handles.known_at(self._uri, self.version())
        if app_id not in known:
            known[app_id] = super().transaction_version(app_id)
        return known[app_id]  # type: ignore[no-any-return]

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return what delta-rs says, or said of the same version before."""
        known = self.handles.known_at(self._uri, self.version())
        if limit not in known:
            known[limit] = super().history(limit)
        return known[limit]  # type: ignore[no-any-return]

    @classmethod
    def is_deltatable(cls, table_uri: Any, storage_options: dict[str, str] | None = None) -> bool:
        """True where there is a table, or was one before."""
        uri = str(table_uri)
        if uri not in cls.handles.tables and DeltaTable.is_deltatable(uri, storage_options):
            cls.handles.tables.add(uri)
        return uri in cls.handles.tables


@contextmanager
def lending(handles: Handles) -> Iterator[None]:
    """Let the writer's modules open tables through ``handles``."""
    lent = type("LentTable", (LentTable,), {"handles": handles})
    with ExitStack() as patches:
        for module in (lake.writer.target, lake.journal, lake.tables):
            patches.enter_context(patch.object(module, "DeltaTable", lent))
        yield
