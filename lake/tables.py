"""Where each Delta table lives, and opening it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
from deltalake import DeltaTable

from lake.errors import LakePathError, MissingTableError, in_one_line

Layer = Literal["bronze", "silver", "gold", "ops"]
LAYERS: tuple[Layer, ...] = ("bronze", "silver", "gold", "ops")
DEAD_LETTERS = "dead_letters"
"""The bronze table that holds every message which is no row of its contract's table."""

REGION: Final = "us-east-1"
"""For a store that is not Amazon's and has no regions; its clients must name one all the same."""

BOUNDED: Final = {
    "connect_timeout": "5s",
    "timeout": "30s",
    "max_retries": "4",
    "retry_timeout": "45s",
}
"""How long one request to an object store may take."""


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
        """What deltalake needs to reach an object store; None locally.

        The ``AWS_*`` variables. An endpoint that begins with ``http://`` is taken at its word.
        Waiting for a store that does not answer is bounded, so that whoever waits can say so; by
        default a single request may take three minutes.
        """
        if not self.is_remote:
            return None
        found = {k.lower(): v for k, v in os.environ.items() if k.startswith("AWS_") and v}
        endpoint = found.get("aws_endpoint_url_s3") or found.get("aws_endpoint_url")
        if endpoint:
            # the S3 variable is for the store alone, and deltalake does not know it
            found["aws_endpoint_url"] = endpoint
            found.setdefault("aws_region", found.get("aws_default_region", REGION))
            if endpoint.startswith("http://"):
                found.setdefault("aws_allow_http", "true")
        return {"aws_conditional_put": "etag", **BOUNDED, **found}

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
            from deltalake.fs import DeltaStorageHandler

            fs = pafs.PyFileSystem(DeltaStorageHandler(self.root, self.storage_options))
            found = fs.get_file_info(pafs.FileSelector(layer, allow_not_found=True))
            candidates = [f.base_name for f in found if f.type == pafs.FileType.Directory]
        else:
            folder = Path(self.root) / layer
            entries = folder.iterdir() if folder.is_dir() else ()
            candidates = [p.name for p in entries if p.is_dir()]  # a file manager leaves files
        return sorted(name for name in candidates if self.exists(layer, name))


def read_rows(
    table: DeltaTable, columns: Sequence[str] | None = None, predicate: str | None = None
) -> pa.Table:
    """Return a table's rows, those for which ``predicate`` (DataFusion SQL) holds.

    Raises:
        LakePathError: a file cannot be read.
    """
    wanted = None if columns is None else list(columns)
    try:
        return pa.table(table.scan(columns=wanted, predicate=predicate).read_all())
    except Exception as error:  # a store that goes away midway surfaces as a plain Exception
        raise LakePathError(
            f"cannot read the table at {table.table_uri}: {in_one_line(error)}",
            hint="Is the lake reachable?",
        ) from error
