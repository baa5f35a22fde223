"""Which tables an erasure looks through: all that have tenants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from ingest.contracts.exact import TENANT
from lake.erasure.ledger import ERASURES
from lake.schema import COORDINATES
from lake.tables import Lake, Layer

ORDER: Final[tuple[Layer, ...]] = ("bronze", "ops", "silver", "gold")
"""What is computed comes after what it is computed from."""

DEV: Final = "dev"
"""Stands before the name of a dev target's table."""

_SEEDS: Final = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a lake, or of a dev target."""

    lake: Lake
    layer: Layer
    name: str
    is_dev: bool
    has_offsets: bool
    """True for a table whose rows the audit counts."""

    @property
    def label(self) -> str:
        """``<layer>.<name>``, or ``dev:<layer>.<name>``."""
        return f"{DEV}:{self.layer}.{self.name}" if self.is_dev else f"{self.layer}.{self.name}"

    @property
    def uri(self) -> str:
        """The address of the table."""
        return self.lake.uri(self.layer, self.name)

    def open(self, version: int | None = None) -> DeltaTable:
        """Open it at its head, or at a version.

        Raises:
            MissingTableError: there is no such table.
        """
        return self.lake.open(self.layer, self.name, version)


@dataclass(frozen=True, slots=True)
class Reach:
    """All tables of a lake, by what an erasure does with them."""

    tables: tuple[Table, ...]
    """In the order of the work."""
    without_tenants: tuple[str, ...]
    seeds: tuple[str, ...]
    """Their rows come from files of the dbt project, and would come back with the next build."""


def reach(lake: Lake, dev: Lake | None = None) -> Reach:
    """Sort the tables that there are now."""
    tables: list[Table] = []
    without: list[str] = []
    seeds: list[str] = []
    for here in (lake, dev):
        for layer in ORDER if here is not None else ():
            assert here is not None
            for name in here.names(layer):
                columns = {field.name for field in here.open(layer, name).schema().fields}
                has_offsets = layer == "bronze" and {c.name for c in COORDINATES} <= columns
                table = Table(here, layer, name, here is not lake, has_offsets)
                if (layer, name) == ("ops", ERASURES):
                    continue  # the certificates themselves
                if TENANT not in columns:
                    without.append(table.label)
                elif layer == "silver" and (_SEEDS / f"{name}.csv").exists():
                    seeds.append(table.label)
                else:
                    tables.append(table)
    return Reach(tuple(tables), tuple(without), tuple(seeds))
