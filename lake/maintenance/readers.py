"""Who still needs files that compaction has replaced: the models that have not read them yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from deltalake import DeltaTable

from lake.delta_log import read_commit_infos
from lake.increments import Pinned
from lake.maintenance.fence import is_maintenance
from lake.tables import Lake, Layer

MODELLED: Final[tuple[Layer, ...]] = ("silver", "gold")
LOOK_AT: Final = 1_000
"""Maintenance commits skipped in search of the first one that a model has to read."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The model that is furthest behind on a table."""

    reader: str
    """``<layer>.<name>``."""
    since: datetime
    """When the first commit that it has not read was made."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the models still need of one table."""

    waiting: Waiting | None = None
    """None: every model that is waited for has read everything."""
    read_to: int | None = None
    """The last version that all models which are waited for have read; None: there are none."""
    lapsed: tuple[str, ...] = ()
    """Models behind for so long that they are not waited for: they will read everything anew."""


def open_readers(lake: Lake) -> dict[str, DeltaTable]:
    """Return the tables that models have built, by label."""
    return {
        f"{layer}.{name}": lake.open(layer, name)
        for layer in MODELLED
        for name in lake.names(layer)
    }


def needed(
    lake: Lake,
    layer: Layer,
    name: str,
    table: DeltaTable,
    readers: Mapping[str, DeltaTable],
    *,
    patience: timedelta,
    now: datetime,
) -> Need:
    """Return what the models have yet to read of ``table``.

    A file that a model has not read was added after the version that it has read, so it cannot
    have been removed before that addition: to keep every file that was removed after ``since`` is
    enough.

    Args:
        lake: of the table and the models.
        layer: of the table.
        name: of the table.
        table: at its head.
        readers: the models' tables.
        patience: a model that is behind for longer is not waited for.
        now: the present.
    """
    upstream = Pinned(lake, layer, name, table)
    waiting: Waiting | None = None
    lapsed: list[str] = []
    read_to: list[int] = []
    for label, reader in sorted(readers.items()):
        seen = upstream.last_read_by(reader)
        if seen is None:
            continue
        if seen >= table.version():
            read_to.append(seen)
            continue
        head = min(table.version(), seen + LOOK_AT)
        infos = read_commit_infos(table, seen, lake.storage_options, head)
        if len(infos) < head - seen:
            lapsed.append(label)  # the log is cleaned up already
            continue
        read_to.append(seen)
        unread = [info for _, info in infos if not is_maintenance(info)]
        if not unread and head == table.version():
            continue
        first = unread[0] if unread else infos[-1][1]
        since = datetime.fromtimestamp(first["timestamp"] / 1000, tz=UTC)
        if now - since > patience:
            lapsed.append(label)
            read_to.pop()
        elif waiting is None or since < waiting.since:
            waiting = Waiting(label, since)
    return Need(waiting, min(read_to, default=None), tuple(lapsed))
