"""Where each Delta table lives, and opening it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deltalake import DeltaTable

from lake.errors import MissingTableError

Layer = Literal["bronze", "silver", "gold", "ops"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold", "ops")
DEAD_LETTERS = "dead_letters"
"""The bronze table that holds every message which is no row of its contract's table."""


@dataclass(frozen=True, slots=True)
class Lake:
    """All Delta tables below one root: ``<root>/<layer>/<name>``."""

    root: str

    @property
    def is_remote(self) -> bool:
        """True when the root is an object store."""
        return "://" in self.root

    @property
    def storage_options(self) -> dict[str, str] | None:
        """What deltalake needs to reach an object store: the ``AWS_*`` variables; None locally."""
        if not self.is_remote:
            return None
        found = {k.lower(): v for k, v in os.environ.items() if k.startswith("AWS_")}
        return {"aws_conditional_put": "etag", **found}

    def uri(self, layer: Layer, name: str) -> str:
        """The address of a table, whether it exists or not."""
        return f"{self.root}/{layer}/{name}"

    def exists(self, layer: Layer, name: str) -> bool:
        """True when there is a Delta table at that address."""
        return DeltaTable.is_deltatable(self.uri(layer, name), self.storage_options)

    def open(self, layer: Layer, name: str, version: int | None = None) -> DeltaTable:
        """Open a table at its head, or at ``version``.

        Raises:
            MissingTableError: there is no such table.
        """
        if not self.exists(layer, name):
            raise MissingTableError(
                f"there is no table {layer}.{name} at {self.uri(layer, name)}",
                hint="`lakeward tables` lists what there is",
            )
        return DeltaTable(
            self.uri(layer, name), version=version, storage_options=self.storage_options
        )

    def names(self, layer: Layer) -> list[str]:
        """The tables of a layer, sorted."""
        if self.is_remote:
            import pyarrow.fs as pafs

            fs, path = pafs.FileSystem.from_uri(f"{self.root}/{layer}")
            found = fs.get_file_info(pafs.FileSelector(path, allow_not_found=True))
            candidates = [f.base_name for f in found if f.type == pafs.FileType.Directory]
        else:
            folder = Path(self.root) / layer
            candidates = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        return sorted(name for name in candidates if self.exists(layer, name))
