"""Which letters are to be taken once more, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lake.dead_letters.mending import Mending
from lake.dead_letters.selection import OPEN, Selection
from lake.errors import ReplayError


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a person, or a job, asks for."""

    selection: Selection
    mending: Mending | None = None
    tenant_changes: frozenset[tuple[str, str]] = frozenset()
    """Pairs (from, to): a letter of the first tenant may become an event of the second."""
    limit: int | None = None
    dry_run: bool = False
    shown: int = 0
    """How many letters are to be told in full."""

    def letters(self) -> Selection:
        """Return which letters are meant: those that are no rows yet, of the mending's contract.

        Raises:
            ReplayError: the mending file is for another contract than the selection.
        """
        selection = self.selection
        standing = OPEN if selection.standing is None else selection.standing & OPEN
        wanted = None if self.mending is None else self.mending.contract
        if wanted is not None and selection.contract not in (None, wanted):
            raise ReplayError(
                f"the mending file is for letters of {wanted}, not of {selection.contract}",
                hint=f"Give --contract {wanted}, or another file.",
            )
        return replace(selection, standing=standing, contract=selection.contract or wanted)
