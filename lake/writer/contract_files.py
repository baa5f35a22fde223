"""Contract files that are read again only when one of them has changed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ingest.contracts.model import Contract
from ingest.contracts.registry import contract_files, load_contracts

Stamp = tuple[Path, int, int]
"""A file, when it was last changed (ns since 1970), and its size in bytes."""


class ContractFiles:
    """The shipped contracts and those of a folder, as the files say now."""

    def __init__(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Read ``folder``; of what is there only the contracts called ``names``, None: all."""
        self._folder = folder
        self._names = names
        self._stamps: tuple[Stamp, ...] | None = None
        self._contracts: list[Contract] = []

    def __call__(self) -> list[Contract]:
        """Return the contracts.

        Raises:
            ContractError: a file is wrong, or the folder is gone.
            OSError: a file went away while it was read.
        """
        stamps = self._look()
        if stamps != self._stamps:
            # what is wrong is read, and told, again until it is right
            self._contracts = [
                contract
                for contract in load_contracts(self._folder)
                if self._names is None or contract.name in self._names
            ]
            self._stamps = stamps
        return self._contracts

    def _look(self) -> tuple[Stamp, ...]:
        stats = ((path, path.stat()) for path in contract_files(self._folder))
        return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
