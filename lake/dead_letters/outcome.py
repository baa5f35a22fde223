"""What becomes of letters that are taken once more: the reasons why not, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CANNOT_MEND: Final = "cannot_mend"
TENANT_CHANGED: Final = "tenant_changed"
NO_CONTRACT: Final = "no_contract"

REPLAY_REASONS: Final[Mapping[str, str]] = {
    CANNOT_MEND: "A step of the mending file cannot be taken; the detail names it.",
    TENANT_CHANGED: "Mended, it would be another tenant's event, and nobody said that this is "
    "meant.",
    NO_CONTRACT: "There is no contract of that name any more.",
}
"""Why a replay fails, besides the reasons of decoding."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One letter's way through a replay, to be shown."""

    address: str
    contract: str
    before: bytes | None
    after: bytes | None
    """None: it could not be mended, or has no value."""
    row: Mapping[str, Any] | None
    """The row that it makes; None when it is a dead letter still."""
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to."""

    run_id: str
    dry_run: bool
    taken: int = 0
    """Letters that were taken once more."""
    replayed: Counter[str] = field(default_factory=Counter)
    """Letters that became rows, or would, by contract."""
    were_there: int = 0
    """Letters that another replay, or this one before it was cut off, had brought meanwhile."""
    unsettled: int = 0
    """Letters that the writer is about to take up itself."""
    failed: Counter[str] = field(default_factory=Counter)
    """Letters that are dead letters still, by reason."""
    is_finished: bool = True
    """False when it was stopped before the last letter."""
    trials: tuple[Trial, ...] = ()
    """The first of them."""
